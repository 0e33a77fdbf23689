"""Numbers brought into a range, and numbers in texts that others wrote."""

from typing import TypeVar

Number = TypeVar("Number", int, float)


def clamp(value: Number, low: Number, high: Number) -> Number:
    """Returns *value*, or the end of the range that it is beyond."""
    return max(low, min(value, high))


_MAX_INT64 = 2**63 - 1
_MAX_DIGITS = 19


def whole_number(text: str, *, max_value: int = _MAX_INT64) -> int | None:
    """Returns the number that *text* writes in ASCII digits; None if it is none, or too large.

    `int` alone raises for more than 4,300 digits, and reads digits of every script.
    """
    if len(text) > _MAX_DIGITS or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= max_value else None
