"""Signing in: with a password and a code, or with a link from this machine; and signing out."""

from starlette.responses import Response

from gateway.errors import SignInFailed, TooManyRequests
from gateway.panel.addresses import SIGN_IN_PATH, own_path
from gateway.panel.cookies import Flash, end_session, set_session
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.visit import Visit

page = Page(path="/sign-in", title=N_("Sign in"), scope=None, is_public=True)
START = "/panel/"


@page.get()
async def show(visit: Visit) -> Response:
    if visit.session:
        return visit.redirect(START)
    return await _form(visit)


@page.post()
async def sign_in(visit: Visit) -> Response:
    form = visit.form
    if not visit.reached.may_sign_in:
        return await _form(visit, status=403)
    try:
        token = await visit.services.gateway.sign_in.with_password(
            form.text("email"), form.raw("password"), form.text("code"), address=visit.address
        )
    except SignInFailed:
        text = visit.gettext("The e-mail, the password or the code is wrong.")
        return await _form(visit, status=401, problem=text)
    except TooManyRequests as error:
        text = visit.gettext(
            "Too many attempts. Wait %(seconds)s seconds, then try again.",
            seconds=error.retry_after_seconds,
        )
        return await _form(visit, status=429, problem=text)
    response = visit.redirect(own_path(form.text("next")) or START)
    set_session(response, token, visit.reached)
    return response


async def _form(visit: Visit, *, status: int = 200, problem: str = "") -> Response:
    return await visit.render(
        "sign_in.html",
        status=status,
        flash=Flash("bad", problem) if problem else None,
        email=visit.form.text("email"),
        next=own_path(visit.form.text("next") or visit.query("next")),
        may_sign_in=visit.reached.may_sign_in,
    )


@page.post("/out")
async def sign_out(visit: Visit) -> Response:
    """Ends the session, or with `everywhere` every session of the user."""
    if visit.session:
        ending = visit.services.gateway.sign_in
        if visit.form.is_checked("everywhere"):
            await ending.sign_out_everywhere(visit.session, address=visit.address)
        else:
            await ending.sign_out(visit.session, address=visit.address)
    response = visit.redirect(SIGN_IN_PATH, flash=visit.gettext("You signed out."))
    end_session(response)
    return response
