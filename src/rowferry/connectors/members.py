"""The contract of queries over several sources, beside those in `base`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rowferry.connectors.base import Source, SourceRequest
from rowferry.typemap.treatment import Policies


@dataclass(frozen=True, slots=True)
class Member:
    """One of several sources that a query may name, by its alias.

    `request` says where it is; `open` makes a source of that, or of other files of the same connection.
    """

    alias: str
    request: SourceRequest
    open: Callable[[SourceRequest], Source]


@dataclass(frozen=True, slots=True)
class Federation:
    """Queries over several sources.

    `named`: the aliases that a query names; InvalidInput, with what to change, for a query that may not run. Opens
    nothing. `open`: the members as one source, whose tables are queries; whoever has it closes it, which closes the
    members that it has opened. The policies are for the members' columns.
    """

    named: Callable[[str, Sequence[Member]], frozenset[str]]
    open: Callable[[Sequence[Member], Policies], Source]
