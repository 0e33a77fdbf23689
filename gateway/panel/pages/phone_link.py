"""The page of a link: a person without an account links the phone of one instance."""

from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from gateway.administration.phone_link_page import LinkVisitor, svg_of
from gateway.errors import InvalidRequest, NotFound, TooManyRequests, Unavailable
from gateway.instances.phone_links import LinkStatus
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.visit import Visit

page = Page(path="/link-phone", title=N_("Link your phone"), scope=None, is_public=True)

_NOT_FOUND = 404
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ShownLink:
    """What the templates show; `qr` is an SVG, empty while there is no code."""

    state: str
    path: str
    expires_at: datetime | None = None
    qr: str = ""

    @property
    def waits(self) -> bool:
        return self.state == LinkStatus.WAITING


@page.get()
async def show_nothing(visit: Visit) -> Response:
    """Answers an address without its token, to which the button of an error page leads."""
    return _document(visit, ShownLink(_UNKNOWN, page.full_path))


@page.get("/{token}")
async def show(visit: Visit) -> Response:
    return await _whole(visit)


@page.get("/{token}/state")
async def show_state(visit: Visit) -> Response:
    """Answers the part that htmx asks for every few seconds; its last form asks no more."""
    return visit.fragment("phone_link_state.html", link=await _look(visit), is_part=True)


@page.post("/{token}")
async def ask_for_pairing_code(visit: Visit) -> Response:
    problem, code, phone = "", None, visit.form.text("phone")
    try:
        code = await visit.services.gateway.phone_link_page.pairing_code(_visitor(visit), phone)
    except InvalidRequest:
        problem = visit.gettext(
            "Write the number that this link is for, with country and area code."
        )
    except TooManyRequests as error:
        problem = visit.gettext("Wait %(seconds)s seconds.", seconds=error.retry_after_seconds)
    except NotFound:  # the page says so
        pass
    except Unavailable:
        problem = visit.gettext("WhatsApp is out of reach. Try again in a moment.")
    return await _whole(visit, problem=problem, pairing_code=code, phone=phone)


async def _whole(
    visit: Visit, *, problem: str = "", pairing_code: str | None = None, phone: str = ""
) -> Response:
    link = await _look(visit)
    return _document(visit, link, problem=problem, pairing_code=pairing_code, phone=phone)


def _document(
    visit: Visit,
    link: ShownLink,
    *,
    problem: str = "",
    pairing_code: str | None = None,
    phone: str = "",
) -> Response:
    return visit.fragment(
        "phone_link.html",
        status=_NOT_FOUND if link.state == _UNKNOWN else 200,
        link=link,
        is_part=False,
        problem=problem,
        pairing_code=pairing_code,
        phone=phone,
    )


async def _look(visit: Visit) -> ShownLink:
    """Returns the link of the address; a link that a newer one replaced is unknown."""
    visitor = _visitor(visit)
    path = f"{page.full_path}/{visitor.token}"
    try:
        view = await visit.services.gateway.phone_link_page.look(visitor)
    except NotFound:
        return ShownLink(_UNKNOWN, path)
    qr = await svg_of(view.code) if view.code else ""
    return ShownLink(view.status, path, view.expires_at, qr)


def _visitor(visit: Visit) -> LinkVisitor:
    return LinkVisitor(visit.request.path_params["token"], visit.address or "unknown")
