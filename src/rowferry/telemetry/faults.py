"""A programming error for a log: where it happened and what kind it is, never a row's value or a secret."""

from __future__ import annotations

import traceback

_ABOUT_CODE = (ImportError, AttributeError, NameError)
"""Kinds whose text names modules, types and attributes, and nothing else."""


def trace(error: BaseException) -> str:
    """The traceback of the error and of what led to it, the latest last; texts only where they cannot hold data."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    frames = "".join(traceback.format_tb(error.__traceback__))
    text = f": {error}" if isinstance(error, _ABOUT_CODE) else ""
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{trace(earlier) if earlier else ''}{frames}{kind}{text}\n"
