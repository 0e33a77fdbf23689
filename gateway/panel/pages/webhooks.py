"""Webhooks: where the gateway posts what happens, a test of it, and the secret that signs it."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.replay import TestResult, TestWebhook
from gateway.contract.extensions.webhook_secrets import (
    NewWebhookSecret,
    ReadWebhookSecret,
    RetireWebhookSecret,
    RotateWebhookSecret,
    WebhookSecretState,
)
from gateway.contract.scopes import ApiScope
from gateway.contract.zapi.webhooks import SetEveryWebhook, SetFilters, SetNotifySentByMe
from gateway.errors import InvalidRequest
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.cookies import Flash
from gateway.panel.languages import N_
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.visit import Visit
from gateway.panel.webhook_view import address_of, chosen_webhook, show_webhooks
from gateway.panel.webhook_words import KINDS, MESSAGE_FILTERS, OWN, advice

page = Page(
    path="/webhooks",
    title=N_("Webhooks"),
    icon="webhook",
    section=Section.INTEGRATION,
    scope=ApiScope.WEBHOOKS,
    order=10,
)
_FILTER_OF_TYPE: Final = {
    "ReceivedCallback": "FILTER_RECEIVED_CALLBACK",
    "DeliveryCallback": "FILTER_DELIVERY_CALLBACK",
    "MessageStatusCallback": "FILTER_MESSAGE_STATUS_CALLBACK",
    "ConnectedCallback": "FILTER_CONNECTED_CALLBACK",
    "DisconnectedCallback": "FILTER_DISCONNECTED_CALLBACK",
    "PresenceChatCallback": "FILTER_PRESENCE_CHAT_CALLBACK",
}


@page.get()
async def show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(
    visit: Visit,
    *,
    status: int = 200,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    tested: TestResult | None = None,
    new_secret: NewWebhookSecret | None = None,
    flash: Flash | None = None,
) -> Response:
    try:
        await visit.instance()
    except (NoAccount, NoInstance):
        return await show_webhooks(visit, "webhooks.html")
    secret: WebhookSecretState = await visit.execute(ReadWebhookSecret(), await visit.account())
    return await show_webhooks(
        visit,
        "webhooks.html",
        status,
        flash=flash,
        typed=typed or {},
        errors=errors or {},
        tested=tested,
        secret=secret,
        new_secret=new_secret,
        message_filters=MESSAGE_FILTERS,
        filter_of_type=_FILTER_OF_TYPE,
    )


@page.post()
async def set_addresses(visit: Visit) -> Response:
    """Saves the addresses that differ; one that is refused is shown again with its error."""
    instance, form = await visit.instance(), visit.form
    errors: dict[str, str] = {}
    for kind in KINDS:
        typed = form.text(kind.name)
        if typed == (getattr(instance, kind.column) or ""):
            continue
        try:
            await visit.execute(build(kind.operation, {"value": typed}), instance)
        except InvalidRequest as error:
            errors[kind.name] = str(error).removeprefix("value: ")
    wanted = form.is_checked("notify_sent_by_me")
    if wanted != instance.notify_sent_by_me:
        await visit.execute(SetNotifySentByMe(notify_sent_by_me=wanted), instance)
    if not errors:
        return visit.redirect(address_of(instance), flash=visit.gettext("Saved."))
    text = visit.ngettext(
        "%(num)s address was not saved. The others were.",
        "%(num)s addresses were not saved. The others were.",
        len(errors),
    )
    typed_texts: dict[str, str] = {kind.name: form.text(kind.name) for kind in KINDS}
    await visit.instance_named(instance.id)
    return await _page(
        visit, status=400, typed=typed_texts, errors=errors, flash=Flash("bad", text)
    )


@page.post("/every")
async def set_every_address(visit: Visit) -> Response:
    """Saves one address for all kinds of callbacks: the first step."""
    instance, typed = await visit.instance(), visit.form.text("every")
    try:
        await visit.execute(build(SetEveryWebhook, {"value": typed}), instance)
    except InvalidRequest as error:
        text = str(error).removeprefix("value: ")
        return await _page(visit, status=400, typed={"every": typed}, errors={"every": text})
    text = visit.gettext("Saved. Now send a test to see what your server answers.")
    return visit.redirect(address_of(instance), flash=text)


@page.post("/filters")
async def set_filters(visit: Visit) -> Response:
    instance, form = await visit.instance(), visit.form
    left_out = {
        "messageFilters": form.all("message_filter"),
        "callbackTypeFilters": form.all("type_filter"),
    }
    await visit.execute(build(SetFilters, left_out), instance)
    return visit.redirect(address_of(instance), flash=visit.gettext("Saved."))


@page.post("/test")
async def test(visit: Visit) -> Response:
    """Posts a sample at once, and shows what the server answered."""
    instance, form = await visit.instance(), visit.form
    webhook = chosen_webhook(form.text("webhook"))
    fields = {
        "type": form.text("test") or "ReceivedCallback",
        "webhookId": None if webhook in {None, OWN} else str(webhook),
    }
    tested: TestResult = await visit.execute(build(TestWebhook, fields), instance)
    if visit.is_htmx:
        return visit.fragment("webhook_test.html", tested=tested, advice=advice)
    return await _page(visit, tested=tested)


@page.post("/secret", scope=ApiScope.MANAGE)
async def rotate_secret(visit: Visit) -> Response:
    """Shows a new secret once: in this answer, which no browser stores."""
    await visit.instance()
    made: NewWebhookSecret = await visit.execute(RotateWebhookSecret(), await visit.account())
    return await _page(visit, new_secret=made)


@page.post("/secret/retire", scope=ApiScope.MANAGE)
async def retire_secret(visit: Visit) -> Response:
    instance = await visit.instance()
    await visit.execute(RetireWebhookSecret(), await visit.account())
    text = visit.gettext("The previous secret ended. Only the present one signs.")
    return visit.redirect(address_of(instance), flash=text)
