"""The page of a link with which a user sets a password once; opening it changes nothing."""

from typing import Final

from starlette.responses import Response

from gateway.errors import InvalidRequest, SignInFailed
from gateway.panel.addresses import SIGN_IN_PATH
from gateway.panel.cookies import Flash
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.visit import Visit
from gateway.users.passwords import MIN_PASSWORD_LENGTH

SET_PASSWORD_PATH: Final = "/panel/set-password"  # noqa: S105 - an address
page = Page(path="/set-password", title=N_("Set a password"), scope=None, is_public=True)
_GONE: Final = 410


@page.get("/{token}")
async def show(visit: Visit) -> Response:
    return await _form(visit)


@page.post("/{token}")
async def set_password(visit: Visit) -> Response:
    if not visit.reached.may_sign_in:
        return await _form(visit, status=403)
    form = visit.form
    if form.raw("new") != form.raw("repeated"):
        text = visit.gettext("The two passwords differ. Write the same one twice.")
        return await _form(visit, status=400, problem=text)
    try:
        await visit.services.gateway.sign_in.set_password_by_link(
            visit.request.path_params["token"], form.raw("new"), address=visit.address
        )
    except SignInFailed:
        return await _form(visit, status=_GONE, is_over=True)
    except InvalidRequest:
        text = visit.gettext("Use at least %(count)s characters.", count=MIN_PASSWORD_LENGTH)
        return await _form(visit, status=400, problem=text)
    text = visit.gettext("Your password is set. Sign in with it.")
    return visit.redirect(SIGN_IN_PATH, flash=text)


async def _form(
    visit: Visit, *, status: int = 200, problem: str = "", is_over: bool = False
) -> Response:
    return await visit.render(
        "set_password.html",
        status=status,
        flash=Flash("bad", problem) if problem else None,
        is_over=is_over,
        min_length=MIN_PASSWORD_LENGTH,
        may_set=visit.reached.may_sign_in,
    )
