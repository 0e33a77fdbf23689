"""What a user decides about himself: name, language, theme, password, second factor, sessions."""

from io import BytesIO

import segno
from markupsafe import Markup
from starlette.responses import Response

from gateway.errors import InvalidRequest
from gateway.panel.cookies import LANGUAGE_COOKIE, remember, set_session
from gateway.panel.languages import N_, language_named
from gateway.panel.page import Page
from gateway.panel.visit import Visit
from gateway.users.passwords import MIN_PASSWORD_LENGTH
from gateway.users.second_factor import provisioning_url

page = Page(path="/profile", title=N_("Your profile"), scope=None)
_PATH = "/panel/profile"
_SECRET_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_SECRET_LENGTH = 32


@page.get()
async def show(visit: Visit) -> Response:
    profiles = visit.services.profiles
    return await visit.render(
        "profile.html",
        person=await profiles.find(visit.user),
        sessions=await profiles.sessions(visit.user),
        min_length=MIN_PASSWORD_LENGTH,
    )


@page.post()
async def set_profile(visit: Visit) -> Response:
    language = language_named(visit.form.text("language"))
    if language is None:
        raise InvalidRequest("language: must be pt-BR, en or es")
    await visit.services.profiles.set_profile(
        visit.user, visit.caller, name=visit.form.text("name"), language=language
    )
    visit.language = language
    response = visit.redirect(_PATH, flash=visit.gettext("Saved."))
    remember(response, LANGUAGE_COOKIE, language, visit.reached)
    return response


@page.post("/password")
async def change_password(visit: Visit) -> Response:
    form = visit.form
    if form.raw("new") != form.raw("repeated"):
        raise InvalidRequest(visit.gettext("The two new passwords differ: nothing was changed."))
    token = await visit.services.profiles.change_password(
        visit.user, visit.caller, current=form.raw("current"), new=form.raw("new")
    )
    text = visit.gettext("The password was changed. Every other session ended.")
    response = visit.redirect(_PATH, flash=text)
    set_session(response, token, visit.reached)
    return response


@page.get("/second-factor")
async def show_second_factor(visit: Visit) -> Response:
    secret = visit.services.profiles.new_second_factor(visit.caller)
    return await visit.render(
        "second_factor.html",
        person=await visit.services.profiles.find(visit.user),
        secret=secret,
        qr_code=_qr_code(provisioning_url(secret, visit.user.email)),
    )


@page.post("/second-factor")
async def set_second_factor(visit: Visit) -> Response:
    form = visit.form
    secret = form.text("secret")
    if len(secret) != _SECRET_LENGTH or not set(secret) <= _SECRET_CHARACTERS:
        raise InvalidRequest("The secret is damaged: open the page again")
    await visit.services.profiles.set_second_factor(
        visit.user,
        visit.caller,
        secret=secret,
        code=form.text("code"),
        password=form.raw("password"),
    )
    text = visit.gettext("From now on a code of your app is asked for when you sign in.")
    return visit.redirect(_PATH, flash=text)


@page.post("/second-factor/remove")
async def remove_second_factor(visit: Visit) -> Response:
    await visit.services.profiles.remove_second_factor(
        visit.user, visit.caller, password=visit.form.raw("password")
    )
    return visit.redirect(_PATH, flash=visit.gettext("The password alone signs you in again."))


@page.post("/sessions/end")
async def end_session(visit: Visit) -> Response:
    await visit.services.profiles.end_session(
        visit.user, visit.caller, session_id=visit.form.text("id")
    )
    return visit.redirect(_PATH, flash=visit.gettext("The session ended."))


def _qr_code(text: str) -> Markup:
    """Returns a QR code as SVG for the page itself."""
    buffer = BytesIO()
    segno.make(text, error="m").save(
        buffer,
        kind="svg",
        xmldecl=False,
        svgns=False,
        border=2,
        omitsize=True,
        svgclass="qr-code",
        lineclass=None,
    )
    return Markup(buffer.getvalue().decode())  # noqa: S704 - segno's own drawing
