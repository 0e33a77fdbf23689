"""The two spellings of a mobile number in Brazil: with and without the ninth digit."""

import re

_WITH_NINTH = re.compile(r"(55[1-9][0-9])9([6-9][0-9]{7})")
_WITHOUT_NINTH = re.compile(r"(55[1-9][0-9])([6-9][0-9]{7})")


def spellings(phone: str) -> tuple[str, ...]:
    """Returns the number as given, then its other spelling if it has one."""
    if found := _WITH_NINTH.fullmatch(phone):
        return phone, found[1] + found[2]
    if found := _WITHOUT_NINTH.fullmatch(phone):
        return phone, f"{found[1]}9{found[2]}"
    return (phone,)
