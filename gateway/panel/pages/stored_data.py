"""What is stored and for how long, and the encryption of content."""

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.account import (
    PayloadEncryptionState,
    ReadPayloadEncryption,
    SetPayloadEncryption,
)
from gateway.contract.extensions.overview import ReadRetention, RetentionRules
from gateway.contract.scopes import ApiScope
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.privacy_view import address_of, show_privacy
from gateway.panel.visit import Visit

page = Page(path="/privacy/stored-data", title=N_("What is stored"), scope=ApiScope.READ)


@page.get()
async def show(visit: Visit) -> Response:
    try:
        await visit.instance()
    except (NoAccount, NoInstance):
        return await show_privacy(visit, "stored_data.html")
    rules: RetentionRules = await visit.execute(ReadRetention(), await visit.account())
    return await show_privacy(
        visit, "stored_data.html", rules=rules, encryption=await _encryption(visit)
    )


@page.get("/encryption")
async def show_encryption(visit: Visit) -> Response:
    """Answers the part of the page that says how far stored rows follow the rule."""
    number = await visit.instance()
    state = await _encryption(visit)
    return visit.fragment("encryption_state.html", number=number, encryption=state)


@page.post("/encryption", scope=ApiScope.MANAGE)
async def set_encryption(visit: Visit) -> Response:
    instance, account = await visit.instance(), await visit.account()
    await visit.execute(build(SetPayloadEncryption, {"value": visit.form.text("value")}), account)
    text = visit.gettext("Saved. What is stored already follows within minutes.")
    return visit.redirect(address_of(instance, "/stored-data"), flash=text)


async def _encryption(visit: Visit) -> PayloadEncryptionState:
    state: PayloadEncryptionState = await visit.execute(
        ReadPayloadEncryption(), await visit.account()
    )
    return state
