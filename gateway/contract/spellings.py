"""Reads a phone number or the id of a chat as people and programs write it.

What is copied from a page, a contact card or a library of WhatsApp brings marks that are not seen,
the device of a sender, or a scheme. They change nothing about who is meant.
"""

import re
import unicodedata
from decimal import Decimal, InvalidOperation

from pydantic_core import PydanticCustomError

STATUS_BROADCAST = "status@broadcast"
MIN_PHONE_LENGTH, MAX_PHONE_LENGTH = 8, 15

_PLAIN = re.compile(r"[1-9][0-9]{7,14}", re.ASCII)
_OLD_GROUP = re.compile(r"[0-9]{8,15}-[0-9]{8,13}", re.ASCII)
_BARE_GROUP = re.compile(r"[1-9][0-9]{15,24}", re.ASCII)
_MARKED_CHAT = re.compile(r"[0-9]{5,25}(-group|-broadcast|@newsletter|@lid)", re.ASCII)
_SCHEME = re.compile(
    r"(tel:|whatsapp:|sms:|callto:|(https?://)?wa\.me/|"
    r"https?://api\.whatsapp\.com/send/?\?phone=)",
    re.IGNORECASE,
)
_AFTER_NUMBER = re.compile(r"[;&?]")
_DEVICE = re.compile(r"([0-9]+)(\.[0-9]+)?:[0-9]+(@[a-z.]+)?", re.ASCII)
_FLOAT = re.compile(r"[0-9]+\.0+|[0-9](\.[0-9]+)?e\+?[0-9]{1,2}", re.ASCII)
_SEPARATORS = str.maketrans("", "", "+-().,/ \t\r\n")
_UNSEEN = frozenset({"Cf", "Zs", "Zl", "Zp"})
_DASHES = "Pd"
_MAX_CHARACTERS = 200
_INTERNATIONAL_PREFIX = "00"


def parse_chat(value: object) -> str:
    """Returns the chat that a caller names, as this gateway writes it.

    Args:
        value: a phone number with or without mask, or a group, channel, list or lid id, in
            Z-API's or in WhatsApp's own spelling.

    Raises:
        PydanticCustomError: `invalid_phone`, when it is none of these.
    """
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    text = _text_of(value)
    if chat := _id_of(text):
        return chat
    return _phone_of(text)


def is_group(chat: str) -> bool:
    return chat.endswith("-group") or _OLD_GROUP.fullmatch(chat) is not None


def _text_of(value: object) -> str:
    """Returns the value in lower case without what is not seen, a scheme or a device."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, float) and not value.is_integer():
        return ""
    text = str(value)
    if len(text) > _MAX_CHARACTERS:
        return ""
    if not text.isascii():
        text = "".join(map(_ascii_of, text))
    text = "".join(text.split()) if "@" in text else text.strip()
    text = _AFTER_NUMBER.split(_SCHEME.sub("", text, count=1), maxsplit=1)[0].lower()
    if _FLOAT.fullmatch(text):
        text = _whole(text)
    if device := _DEVICE.fullmatch(text):
        text = device[1] + (device[3] or "")
    return text


def _ascii_of(character: str) -> str:
    """Returns any dash as `-`, and what is not seen as nothing."""
    kind = unicodedata.category(character)
    if kind == _DASHES or character == "\u2212":  # the minus sign is no dash to Unicode
        return "-"
    if kind in _UNSEEN:
        return ""
    return character


def _whole(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return str(int(number)) if number == number.to_integral_value() else text


def _id_of(text: str) -> str | None:
    """Returns the id of a chat that is not a phone number; None where it may be one."""
    if text == STATUS_BROADCAST:
        return text
    for ending, suffix in (("@g.us", "-group"), ("@broadcast", "-broadcast")):
        if text.endswith(ending):
            text = text.removesuffix(ending) + suffix
    bare = text.removesuffix("-group")
    if _OLD_GROUP.fullmatch(bare):
        return bare
    if _BARE_GROUP.fullmatch(text):  # too long for a phone number
        return f"{text}-group"
    return text if _MARKED_CHAT.fullmatch(text) else None


def _phone_of(text: str) -> str:
    for ending in ("@c.us", "@s.whatsapp.net"):
        text = text.removesuffix(ending)
    # "+44 (0)20 ..." shows the zero of national calls, which is no part of the number.
    digits = text.replace("(0)", "").translate(_SEPARATORS)
    digits = digits.removeprefix(_INTERNATIONAL_PREFIX)
    is_number = digits.isascii() and digits.isdigit() and not digits.startswith("0")
    if not is_number or not MIN_PHONE_LENGTH <= len(digits) <= MAX_PHONE_LENGTH:
        raise PydanticCustomError("invalid_phone", "Invalid phone")
    return digits
