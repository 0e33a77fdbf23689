"""Protects changes from pages of other sites: by a token, and by what the browser says."""

import hashlib
import hmac
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

CSRF_FIELD: Final = "csrf_token"
CSRF_HEADER: Final = "x-csrf-token"


def csrf_token(secret: str) -> str:
    """Returns the token of a form; *secret* is that of the session, which only a cookie has."""
    return hmac.new(secret.encode(), b"panel form", hashlib.sha256).hexdigest()


def is_own_form(given: str, secret: str) -> bool:
    """Returns whether a form has the token of this session."""
    return hmac.compare_digest(given.encode(), csrf_token(secret).encode())


def is_own_page(headers: Headers, hosts: Collection[str]) -> bool:
    """Returns whether the browser says that the request is from a page of this gateway.

    Args:
        headers: of the request.
        hosts: the names under which the browser may have reached the gateway.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc in hosts
