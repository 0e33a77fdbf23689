"""A link that signs in once, from this machine: opening it changes nothing, its button does."""

from starlette.responses import Response

from gateway.errors import SignInFailed
from gateway.panel.cookies import Flash, set_session
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.visit import Visit

page = Page(path="/link", title=N_("Sign in"), scope=None, is_public=True)


@page.get("/{token}")
async def show(visit: Visit) -> Response:
    return await visit.render("link.html")


@page.post("/{token}")
async def redeem(visit: Visit) -> Response:
    try:
        token = await visit.services.gateway.sign_in.redeem_link(
            visit.request.path_params["token"],
            is_on_this_machine=visit.context.origin.is_from_this_machine(visit.request),
            address=visit.address,
        )
    except SignInFailed:
        text = visit.gettext("This link was used, is older than ten minutes, or is not from here.")
        return await visit.render("link.html", status=401, flash=Flash("bad", text))
    response = visit.redirect("/panel/")
    set_session(response, token, visit.reached)
    return response
