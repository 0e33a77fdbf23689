"""Decides which numbers have WhatsApp in the simulation, and derives their LID.

The number of an instance's phone has WhatsApp. Of the others, a number that ends in 0000 has none,
and of the two spellings of a mobile number one has it, as older accounts have in WhatsApp itself:

- Brazil: without the ninth digit if the area code is 31 or more, and with it below;
- Argentina: with the 9 after the country code;
- Mexico: with the 1 after the country code.
"""

import hashlib
import re

_BRAZILIAN = re.compile(r"55([1-9][0-9])(9?)([0-9]{8})")
_NO_NINTH_DIGIT_FROM = 31
_HASHED_CHARACTERS = 65_536  # of each end: the event loop waits while it is hashed
_NOT_AS_WHATSAPP_WRITES = re.compile(r"54[1-3][0-9]{9}|52[2-9][0-9]{9}")


def registered(phone: str) -> str | None:
    """Returns the number if it has WhatsApp in exactly this form, else None."""
    if phone.endswith("0000") or _NOT_AS_WHATSAPP_WRITES.fullmatch(phone):
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
    """Returns the URL of a picture; for base64 or a data: URI it makes one up."""
    if given.startswith(("http://", "https://")):
        return given
    ends = given[:_HASHED_CHARACTERS] + given[-_HASHED_CHARACTERS:]
    digest = hashlib.sha256(f"{len(given)}:{ends}".encode()).hexdigest()
    return f"https://sandbox.invalid/pictures/{digest[:32]}"
