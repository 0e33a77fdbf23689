"""Numbers brought into a range."""

from typing import TypeVar

Number = TypeVar("Number", int, float)


def clamp(value: Number, low: Number, high: Number) -> Number:
    """Returns *value*, or the end of the range that it is beyond."""
    return max(low, min(value, high))
