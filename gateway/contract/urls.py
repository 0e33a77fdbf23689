"""Reads a URL as people paste it."""

from typing import Annotated
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import BeforeValidator

_PLAIN_IN_PATH = "/%:@!$&'()*+,;=-._~[]"
_PLAIN_IN_QUERY = _PLAIN_IN_PATH + "?"
# Soft hyphen, joiners, marks of direction and the byte order mark; strip() leaves them.
_UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_UNSEEN += "".join(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
_AROUND = _UNSEEN + "".join(filter(str.isspace, map(chr, range(0x3001))))
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}


def written_url(value: object) -> object:
    """Returns a URL without what surrounds it, and with what may not stand in it escaped.

    Blanks, line breaks and what is not seen around it are dropped, and quotation marks and the
    angle brackets of mails; blanks and characters with accents inside are escaped, and a host name
    with accents is spelled for DNS. Any other text is returned as it is, blanks alone as nothing.
    """
    if not isinstance(value, str):
        return value
    text = unwrapped(value)
    if not text:
        return text
    if not text[:8].lower().startswith(("http://", "https://")):
        return value
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    try:
        parts = urlsplit(text)
        host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    except (ValueError, UnicodeError):
        return text
    path, query = quote(parts.path, _PLAIN_IN_PATH), quote(parts.query, _PLAIN_IN_QUERY)
    return urlunsplit((parts.scheme, host, path, query, quote(parts.fragment, _PLAIN_IN_QUERY)))


def unwrapped(text: str) -> str:
    """Returns a text without the blanks, unseen marks, quotation marks and brackets around it."""
    text = text.strip(_AROUND)
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip(_AROUND)
    return text.removeprefix("<").removesuffix(">").strip(_AROUND)


def _unwrapped_if_text(value: object) -> object:
    return unwrapped(value) if isinstance(value, str) else value


UNWRAPPED = BeforeValidator(_unwrapped_if_text)
"""Reads a link as `unwrapped` does, and escapes nothing in it: it must stay as it is in a text."""

WRITTEN_URL = BeforeValidator(written_url)
"""Reads a URL as people write it; stands after the constraints of a field."""

WrittenUrl = Annotated[str, WRITTEN_URL]
"""A text that may be a URL; another module decides whether it may be visited."""
