"""The source that is worth interrupting."""

from tests.streams.conftest import big

__all__ = ["big"]
