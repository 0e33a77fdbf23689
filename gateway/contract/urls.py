"""Reads a URL as people paste it."""

from typing import Annotated
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import BeforeValidator

_PLAIN_IN_PATH = "/%:@!$&'()*+,;=-._~[]"
_PLAIN_IN_QUERY = _PLAIN_IN_PATH + "?"


def written_url(value: object) -> object:
    """Returns a URL without what surrounds it, and with what may not stand in it escaped.

    Blanks and line breaks around it are dropped, and the angle brackets of mails; blanks and
    characters with accents inside are escaped, and a host name with accents is spelled for DNS.
    A text that is no http(s) URL is returned as it is.
    """
    if not isinstance(value, str):
        return value
    text = value.strip().removeprefix("<").removesuffix(">").strip()
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


WrittenUrl = Annotated[str, BeforeValidator(written_url)]
"""A text that may be a URL; another module decides whether it may be visited."""
