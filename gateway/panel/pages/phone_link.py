"""The page of a link: a person without an account links the phone of one instance."""

from starlette.responses import Response

from gateway.administration.phone_link_page import LinkView, LinkVisitor, svg_of
from gateway.errors import InvalidRequest, NotFound, TooManyRequests, Unavailable
from gateway.instances.phone_links import LinkStatus
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.visit import Visit

page = Page(path="/link-phone", title=N_("Link your phone"), scope=None, is_public=True)

_NOT_FOUND = 404


@page.get("/{token}")
async def show(visit: Visit) -> Response:
    return await _whole(visit)


@page.get("/{token}/state")
async def show_state(visit: Visit) -> Response:
    """Answers the part that htmx asks for every few seconds; its last form asks no more."""
    view = await _look(visit)
    return visit.fragment("phone_link_state.html", **await _shown(visit, view), is_part=True)


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
    view = await _look(visit)
    return visit.fragment(
        "phone_link.html",
        status=200 if view else _NOT_FOUND,
        **await _shown(visit, view),
        is_part=False,
        problem=problem,
        pairing_code=pairing_code,
        phone=phone,
    )


async def _look(visit: Visit) -> LinkView | None:
    """Returns the link of the address; None if there is none: a newer one may have replaced it."""
    try:
        return await visit.services.gateway.phone_link_page.look(_visitor(visit))
    except NotFound:
        return None


async def _shown(visit: Visit, view: LinkView | None) -> dict[str, object]:
    return {
        "status": view.status.value if view else "unknown",
        "waits": view is not None and view.status is LinkStatus.WAITING,
        "expires_at": view.expires_at if view else None,
        "qr": await svg_of(view.code) if view and view.code else "",
        "path": f"{page.full_path}/{_visitor(visit).token}",
    }


def _visitor(visit: Visit) -> LinkVisitor:
    return LinkVisitor(visit.request.path_params["token"], visit.address or "unknown")
