"""The ways to write one mobile number, of which WhatsApp knows one.

Brazil added a ninth digit. Argentina writes a 9 before a mobile number that is called from abroad,
and Mexico wrote a 1. WhatsApp knows a person by the number of the day on which the account was
made.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

Found = TypeVar("Found")

_MOBILE_MARKS: Final = (
    ("9", re.compile(r"(55[1-9][0-9])(9?)([6-9][0-9]{7})", re.ASCII)),
    ("9", re.compile(r"(54)(9?)([1-3][0-9]{9})", re.ASCII)),
    ("1", re.compile(r"(52)(1?)([2-9][0-9]{9})", re.ASCII)),
)
"""By country: the digit that only some spellings have, and the number around it."""


def spellings(phone: str) -> tuple[str, ...]:
    """Returns the number as given, then its other spelling if it has one."""
    for mark, pattern in _MOBILE_MARKS:
        if found := pattern.fullmatch(phone):
            before, marked, after = found.groups()
            return phone, f"{before}{'' if marked else mark}{after}"
    return (phone,)


def every_spelling(phones: Iterable[str]) -> list[str]:
    """Returns all spellings of all numbers, each once."""
    return list(dict.fromkeys(spelling for phone in phones for spelling in spellings(phone)))


def number_in(phone: str, found: Mapping[str, Found]) -> str | None:
    """Returns the spelling of *phone* that a look-up found; None if it found none."""
    return next((spelling for spelling in spellings(phone) if spelling in found), None)
