"""The pages of errors: they need no database, and say what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import HTMLResponse, Response

from gateway.errors import (
    BodyTooLarge,
    CallerError,
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    GatewayError,
    MethodNotAllowed,
    NotFound,
    NotSupported,
    TooManyRequests,
    Unavailable,
)
from gateway.panel.gateway_answers import answer_text
from gateway.panel.languages import N_
from gateway.panel.rendering import render
from gateway.panel.visit import Visit

RETRY_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class ErrorText:
    """What the page of an error says; both texts are English msgids."""

    status: int
    title: str
    text: str
    icon: str = "warning"
    reloads: bool = False


# An error has the text of its nearest base class in this table.
_TEXTS: Final[Mapping[type[Exception], ErrorText]] = {
    BodyTooLarge: ErrorText(413, N_("Too large"), N_("What you sent is larger than allowed.")),
    CallerError: ErrorText(400, N_("That did not work"), N_("Go back and check what you entered.")),
    Conflict: ErrorText(
        409,
        N_("Not possible now"),
        N_("Another person changed this meanwhile. Open the page again."),
    ),
    DatabaseUnavailable: ErrorText(
        503,
        N_("The database does not answer"),
        N_("Nothing is lost. This page tries again every five seconds and comes back by itself."),
        "database",
        reloads=True,
    ),
    Exception: ErrorText(
        500, N_("Something went wrong"), N_("It was reported. Try again in a moment.")
    ),
    Forbidden: ErrorText(
        403,
        N_("Not allowed"),
        N_("Your role may not do this. Ask the owner of the account."),
        "lock",
    ),
    MethodNotAllowed: ErrorText(405, N_("Page not found"), N_("Open it from the menu."), "search"),
    NotFound: ErrorText(
        404, N_("Page not found"), N_("It was deleted, or the address is wrong."), "search"
    ),
    NotSupported: ErrorText(
        501, N_("Not possible with this connection"), N_("This kind of connection cannot do that.")
    ),
    TooManyRequests: ErrorText(
        429, N_("Too many requests"), N_("Wait a moment, then try again."), "clock"
    ),
    Unavailable: ErrorText(
        503,
        N_("The gateway is starting"),
        N_("This page tries again every five seconds and comes back by itself."),
        "clock",
        reloads=True,
    ),
}
OLD_FORM: Final = ErrorText(
    403,
    N_("This page is too old"),
    N_("You signed in again meanwhile, or the form came from elsewhere. Open the page again."),
    "lock",
)


def text_of(error: Exception) -> ErrorText:
    return next(_TEXTS[kind] for kind in type(error).__mro__ if kind in _TEXTS)


def error_page(visit: Visit, error: Exception | ErrorText, *, back: str) -> Response:
    """Returns the page of an error; *back* is where its button leads."""
    shown = error if isinstance(error, ErrorText) else text_of(error)
    detail = ""
    if isinstance(error, CallerError) and shown.status in _WITH_DETAIL:
        detail = answer_text(visit.language, error)
    html = render(
        "error.html",
        visit.language,
        {
            "visit": visit,
            "error": shown,
            "detail": detail,
            "back": back,
            "retry_seconds": RETRY_SECONDS if shown.reloads else 0,
        },
    )
    seconds = RETRY_SECONDS if shown.reloads else getattr(error, "retry_after_seconds", 0)
    headers = {"Retry-After": str(seconds)} if seconds else {}
    return HTMLResponse(html, shown.status, headers=headers)


_WITH_DETAIL: Final = frozenset({400, 409, 501})


def is_shown_as_flash(error: GatewayError) -> bool:
    """Returns whether a change that failed leads back to its page with the text of the error."""
    return isinstance(error, CallerError) and text_of(error).status in {400, 409, 422, 429, 501}
