"""What a config says about values that the target has not, and how its schema says which there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from rowferry.model.policies import ODDITIES, OddValue, TypePolicy


def _check(value: Any) -> Any:
    """ValueError for a kind or a policy that there is not, naming those that there are."""
    if not isinstance(value, Mapping):
        return value
    for name, policy in value.items():
        if name not in list(OddValue):
            raise ValueError(f"{name} is no kind of value: there are {', '.join(OddValue)}")
        ways = [TypePolicy.ERROR, *ODDITIES[OddValue(name)].ways]
        if policy not in ways:
            raise ValueError(f"{name} must be one of {', '.join(ways)}")
    return value


TypePolicies = Annotated[
    dict[OddValue, TypePolicy],
    BeforeValidator(_check),
    Field(description="What becomes of values that the target has not, by their kind; error for what is not named."),
]
"""By kind of value. A table's own go before the stream's."""
