"""The ways one number is written in Brazil: with the ninth digit, and without."""

import re

_WITH_NINTH = re.compile(r"(55[1-9][0-9])9([6-9][0-9]{7})")
_WITHOUT_NINTH = re.compile(r"(55[1-9][0-9])([6-9][0-9]{7})")


def spellings(phone: str) -> tuple[str, ...]:
    """The number as given, then the other way to write it, if there is one."""
    if found := _WITH_NINTH.fullmatch(phone):
        return phone, found[1] + found[2]
    if found := _WITHOUT_NINTH.fullmatch(phone):
        return phone, f"{found[1]}9{found[2]}"
    return (phone,)
