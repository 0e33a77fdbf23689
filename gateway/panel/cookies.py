"""The cookies of the panel, and whether a browser stores a safe one here."""

import base64
import binascii
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.panel.services import RequestOrigin
from gateway.users.sessions import MAX_SESSION_SECONDS, SESSION_COOKIE

VISITOR_COOKIE: Final = "gateway_panel_visitor"
FLASH_COOKIE: Final = "gateway_panel_flash"
LANGUAGE_COOKIE: Final = "gateway_panel_language"
THEME_COOKIE: Final = "gateway_panel_theme"
ZONE_COOKIE: Final = "gateway_panel_zone"
ACCOUNT_COOKIE: Final = "gateway_panel_account"
INSTANCE_COOKIE: Final = "gateway_panel_instance"
_YEAR: Final = 365 * 86_400
_FLASH_SECONDS: Final = 60
_MAX_FLASH_LENGTH: Final = 400
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Tone = Literal["ok", "wait", "warn", "bad", "plain"]
_TONES: Final[tuple[Tone, ...]] = ("ok", "wait", "warn", "bad", "plain")


@dataclass(frozen=True, slots=True)
class Flash:
    """A message that the next page shows once."""

    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Reached:
    """How a browser reached the panel."""

    is_secure: bool
    """Over TLS, so that a cookie may be marked Secure."""
    is_loopback: bool

    @property
    def may_sign_in(self) -> bool:
        return self.is_secure or self.is_loopback


def reached_by(request: Request, origin: RequestOrigin) -> Reached:
    """Returns how the browser reached the panel.

    A browser sends Sec-Fetch-Site only to an origin that it holds for safe. It so reports TLS that
    a proxy ends which no setting names.
    """
    url = urlsplit(origin.base_url_of(request) or "")
    is_loopback = (url.hostname or "") in _LOOPBACK
    says_safe = "sec-fetch-site" in request.headers and not is_loopback
    return Reached(url.scheme == "https" or says_safe, is_loopback)


def set_session(response: Response, token: str, reached: Reached) -> None:
    """Signs the browser in."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(MAX_SESSION_SECONDS),
        httponly=True,
        samesite="lax",
        secure=reached.is_secure,
    )


def end_session(response: Response) -> None:
    """Signs the browser out, and lets the next user of it choose again."""
    for name in (SESSION_COOKIE, ACCOUNT_COOKIE, INSTANCE_COOKIE):
        response.delete_cookie(name)


def remember(
    response: Response, name: str, value: str, reached: Reached, *, seconds: int = _YEAR
) -> None:
    """Stores a choice in the browser."""
    response.set_cookie(
        name, value, max_age=seconds, httponly=True, samesite="lax", secure=reached.is_secure
    )


def set_flash(response: Response, flash: Flash, reached: Reached) -> None:
    content = orjson.dumps([flash.tone, flash.text[:_MAX_FLASH_LENGTH]])
    text = base64.urlsafe_b64encode(content).decode()
    remember(response, FLASH_COOKIE, text, reached, seconds=_FLASH_SECONDS)


def flash_of(request: Request) -> Flash | None:
    """Returns the message of the cookie; None if there is none, or it has another form."""
    try:
        content = base64.urlsafe_b64decode(request.cookies.get(FLASH_COOKIE, ""))
        tone, text = orjson.loads(content)
    except (binascii.Error, ValueError, TypeError):
        return None
    known = next((each for each in _TONES if each == tone), None)
    return Flash(known, str(text)) if known else None
