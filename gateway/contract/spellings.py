"""Reads a phone number or the id of a chat as people and programs write it.

What is copied from a page, a contact card or a library of WhatsApp brings marks that are not seen,
the device of a sender, or a scheme. They change nothing about who is meant.
"""

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qs, unquote

from pydantic_core import PydanticCustomError

STATUS_BROADCAST = "status@broadcast"

_PLAIN = re.compile(r"[1-9][0-9]{7,14}", re.ASCII)
_OLD_GROUP = re.compile(r"[0-9]{8,15}-[0-9]{8,13}", re.ASCII)
_BARE_GROUP = re.compile(r"[1-9][0-9]{15,24}", re.ASCII)
_MARKED_CHAT = re.compile(r"[0-9]{5,25}(-group|-broadcast|@newsletter|@lid)", re.ASCII)
_ENDINGS = (
    (re.compile(r"(.*?)(?:@g\.us|\s*-group)+", re.DOTALL), "-group"),
    (re.compile(r"(.*?)(?:@|\s*-)broadcast", re.DOTALL), "-broadcast"),
    (re.compile(r"(.*?)(?:@|\s*-)newsletter", re.DOTALL), "@newsletter"),
    (re.compile(r"(.*?)@(?:hosted\.)?lid", re.DOTALL), "@lid"),
    (re.compile(r"(.*?)@(?:c\.us|s\.whatsapp\.net|hosted)", re.DOTALL), ""),
)
"""The servers of WhatsApp and Z-API's endings, each with the ending that this gateway writes."""
_LINK = re.compile(
    r"(https?://)?(www\.)?wa\.me/(?P<path>[^/?#]*)"
    r"|(https?://(api|web|www)\.whatsapp\.com|whatsapp:/)/send/?\?(?P<query>[^#]*)"
)
_SCHEME = re.compile(r"(tel|whatsapp|sms|smsto|callto|phone):(//)?")
_AFTER_NUMBER = re.compile(r"[?&]|;[a-z-]+=")
_DEVICE = re.compile(
    r"(\+?[0-9]+)(?:[._][0-9]{1,3}(?=:)|_[0-9]{1,3}(?=@))?(?::[0-9]{1,3})?(@[a-z.]+)?(?::[0-9]{1,3})?",
    re.ASCII,
)
_FLOAT = re.compile(r"[0-9]+[.,]0+|[0-9]\.[0-9]{7,}e\+?[0-9]{1,2}", re.ASCII)
"""A whole number as a float; 5.512E+12, as spreadsheets show 5511999990001, names no number."""
_SEPARATORS = str.maketrans("", "", "+-()[]./_\u00b7\u2022 \t\r\n")
_QUOTES = "\"'`<>\u2018\u2019\u201c\u201d"
_UNSEEN = frozenset({"Cf", "Zs", "Zl", "Zp"})
_DASHES = "Pd"
_FULL_WIDTH = range(0xFF01, 0xFF5F)
_TO_HALF_WIDTH = 0xFEE0
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
    text = _with_known_ending(_text_of(value))
    if chat := _id_of(text):
        return chat
    return _phone_of(text)


def is_group(chat: str) -> bool:
    return chat.endswith("-group") or _OLD_GROUP.fullmatch(chat) is not None


def is_phone(text: str) -> bool:
    """Returns whether the text is a phone number as this gateway writes it."""
    return _PLAIN.fullmatch(text) is not None


def _text_of(value: object) -> str:
    """Returns the value in lower case without what is not seen, a link, a scheme or a device."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, float) and not value.is_integer():
        return ""
    text = str(value)
    if len(text) > _MAX_CHARACTERS:
        return ""
    text = unquote(text) if "%" in text else text
    if not text.isascii():
        text = "".join(map(_ascii_of, text))
    text = "".join(text.split()) if "@" in text else text
    text = _without_link(text.strip().strip(_QUOTES).strip().lower())
    if _FLOAT.fullmatch(text):
        text = _whole(text.replace(",", "."))
    if device := _DEVICE.fullmatch(text):
        text = device[1] + (device[2] or "")
    return text


def _without_link(text: str) -> str:
    """Returns what a link or a scheme names, without the parameters after it."""
    if link := _LINK.match(text):
        text = link["path"] or parse_qs(link["query"] or "").get("phone", [""])[0]
    elif scheme := _SCHEME.match(text):
        text = text[scheme.end() :]
    return _AFTER_NUMBER.split(text, maxsplit=1)[0].strip()


def _with_known_ending(text: str) -> str:
    """Returns the text with the ending that this gateway writes for a server of WhatsApp."""
    if text == STATUS_BROADCAST or not text[-1:].isalpha():
        return text
    for ending, own in _ENDINGS:
        if found := ending.fullmatch(text):
            return found[1] + own
    return text


def _ascii_of(character: str) -> str:
    """Returns any dash as `-`, full width as usual width, and what is not seen as nothing."""
    if ord(character) in _FULL_WIDTH:
        return chr(ord(character) - _TO_HALF_WIDTH)
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
    bare = text.removesuffix("-group")
    if _OLD_GROUP.fullmatch(bare):
        return bare
    if _BARE_GROUP.fullmatch(text):  # too long for a phone number
        return f"{text}-group"
    return text if _MARKED_CHAT.fullmatch(text) else None


def _phone_of(text: str) -> str:
    # "+44 (0)20 ..." shows the zero of national calls, which is no part of the number.
    text = text.removeprefix("@").removeprefix("~").replace("(0)", "")
    digits = text.translate(_SEPARATORS)
    digits = digits.removeprefix(_INTERNATIONAL_PREFIX)
    if not is_phone(digits):
        raise PydanticCustomError("invalid_phone", "Invalid phone")
    return digits
