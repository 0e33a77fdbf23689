"""How the panel looks in this browser: language and theme, also before the sign-in."""

from starlette.responses import Response

from gateway.errors import InvalidRequest
from gateway.panel.addresses import SIGN_IN_PATH, own_path
from gateway.panel.cookies import LANGUAGE_COOKIE, THEME_COOKIE, remember
from gateway.panel.languages import N_, language_named
from gateway.panel.page import Page
from gateway.panel.visit import Visit

page = Page(path="/preferences", title=N_("Preferences"), scope=None, is_public=True)
_THEMES = frozenset({"system", "light", "dark"})


@page.post("/theme")
async def set_theme(visit: Visit) -> Response:
    theme = visit.form.text("theme")
    if theme not in _THEMES:
        raise InvalidRequest("theme: must be system, light or dark")
    response = visit.redirect(_back(visit))
    remember(response, THEME_COOKIE, theme, visit.reached)
    return response


@page.post("/language")
async def set_language(visit: Visit) -> Response:
    language = language_named(visit.form.text("language"))
    if language is None:
        raise InvalidRequest("language: must be pt-BR, en or es")
    if visit.session:
        await visit.services.profiles.set_profile(
            visit.session, visit.caller, name=visit.session.name, language=language
        )
    response = visit.redirect(_back(visit))
    remember(response, LANGUAGE_COOKIE, language, visit.reached)
    return response


def _back(visit: Visit) -> str:
    return own_path(visit.form.text("next")) or ("/panel/" if visit.session else SIGN_IN_PATH)
