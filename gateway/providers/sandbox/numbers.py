"""Which numbers have WhatsApp in the simulation, and their other name.

A number that ends in 0000 has none. A Brazilian one is known without its ninth digit where the
area code is 31 or more, and with it below, as WhatsApp itself has it for older accounts.
"""

import hashlib
import re

_BRAZILIAN = re.compile(r"55([1-9][0-9])(9?)([0-9]{8})")
_NO_NINTH_DIGIT_FROM = 31


def registered(phone: str) -> str | None:
    """The number if it has WhatsApp, exactly as written."""
    if phone.endswith("0000"):
        return None
    if found := _BRAZILIAN.fullmatch(phone):
        area, ninth, rest = found.groups()
        if rest[0] in "6789" and bool(ninth) != (int(area) < _NO_NINTH_DIGIT_FROM):
            return None
    return phone


def lid_of(phone: str) -> str:
    digest = hashlib.sha256(phone.encode()).digest()
    return f"{int.from_bytes(digest[:6], 'big'):015d}@lid"


def picture_of(given: str) -> str:
    """Where a picture can be seen: what is not an address gets one."""
    if given.startswith(("http://", "https://")):
        return given
    return f"https://sandbox.invalid/pictures/{hashlib.sha256(given.encode()).hexdigest()[:32]}"
