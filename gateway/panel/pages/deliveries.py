"""What was posted to webhooks, what waits to be posted, and one callback with each answer."""

from typing import Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.replay import (
    DeliveryPage,
    FindCallback,
    ListDeliveries,
    ListWaitingCallbacks,
    StoredCallback,
    WaitingPage,
)
from gateway.contract.scopes import ApiScope
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.json_text import json_text
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.visit import PAGE_SIZE, Visit
from gateway.panel.webhook_view import chosen_webhook, show_webhooks
from gateway.panel.webhook_words import TITLES

page = Page(path="/webhooks/deliveries", title=N_("Deliveries"), scope=ApiScope.WEBHOOKS)
_SUCCESS: Final = {"success": True, "failed": False}


@page.get()
async def show(visit: Visit) -> Response:
    """Answers the attempts, the latest first, 50 a page."""
    result, kind, webhook = visit.query("result"), visit.query("type"), visit.query("webhook")
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        return await show_webhooks(visit, "deliveries.html")
    filters = {
        "pageSize": PAGE_SIZE,
        "before": visit.query("before") or None,
        "success": _SUCCESS.get(result),
        "type": kind if kind in TITLES else None,
        "webhookId": chosen_webhook(webhook),
    }
    listed: DeliveryPage = await visit.execute(build(ListDeliveries, filters), instance)
    return await show_webhooks(
        visit, "deliveries.html", listed=listed, result=result, kind=kind, webhook=webhook
    )


@page.get("/waiting")
async def show_waiting(visit: Visit) -> Response:
    """Answers what is not delivered yet, one row for each chat and webhook."""
    webhook = visit.query("webhook")
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        return await show_webhooks(visit, "waiting_callbacks.html")
    filters = {
        "pageSize": PAGE_SIZE,
        "pagingState": visit.query("after") or None,
        "webhookId": chosen_webhook(webhook),
    }
    listed: WaitingPage = await visit.execute(build(ListWaitingCallbacks, filters), instance)
    return await show_webhooks(visit, "waiting_callbacks.html", listed=listed, webhook=webhook)


@page.get("/{id}")
async def show_one(visit: Visit) -> Response:
    instance = await visit.instance()
    operation = build(FindCallback, {"eventId": visit.request.path_params["id"]})
    found: StoredCallback = await visit.execute(operation, instance)
    return await show_webhooks(
        visit, "callback.html", callback=found, body=json_text(found.body) if found.body else ""
    )
