"""The first-match rule engine: an engine's types are a table of rules, read from the top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rowferry.model.tables import NativeType
from rowferry.model.types import NeutralType

T = TypeVar("T", bound=NeutralType)


@dataclass(frozen=True, slots=True)
class ReadRule:
    """Native to neutral: types called one of `names` for which `when` holds become what `to` makes of them."""

    names: tuple[str, ...]
    to: Callable[[NativeType], NeutralType]
    when: Callable[[NativeType], bool] = lambda _: True
    note: str = ""

    def matches(self, native: NativeType) -> bool:
        """Whether this rule speaks of `native`."""
        return native.name in self.names and self.when(native)


@dataclass(frozen=True, slots=True)
class WriteRule(Generic[T]):
    """Neutral to native: values of `kind` for which `when` holds are declared as `declare` spells it.

    `changes` says in one sentence what of the type's meaning (never of its values) is lost; empty if nothing.
    """

    kind: type[T]
    declare: Callable[[T], str]
    when: Callable[[T], bool] = lambda _: True
    changes: str = ""

    def matches(self, neutral: NeutralType) -> bool:
        """Whether this rule speaks of `neutral`."""
        return isinstance(neutral, self.kind) and self.when(neutral)


def first_read(rules: Sequence[ReadRule], native: NativeType) -> ReadRule | None:
    """The first rule that speaks of `native`, or None."""
    return next((rule for rule in rules if rule.matches(native)), None)


def first_write(rules: Sequence[WriteRule[NeutralType]], neutral: NeutralType) -> WriteRule[NeutralType] | None:
    """The first rule that speaks of `neutral`, or None."""
    return next((rule for rule in rules if rule.matches(neutral)), None)
