"""Dead letters: callbacks that were given up; posting them again, and discarding them."""

from typing import Final
from uuid import UUID

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.dead_letters import (
    CountDeadLetters,
    DeadLetter,
    DeadLetterPage,
    DeadLettersPurged,
    DeadLettersRetried,
    DeadLetterStats,
    DiscardDeadLetter,
    GetDeadLetter,
    ListDeadLetters,
    PurgeDeadLetters,
    RetryAllDeadLetters,
    RetryDeadLetter,
)
from gateway.contract.extensions.overview import ReadRetention, RetentionRules
from gateway.contract.scopes import ApiScope
from gateway.instances.store import Instance
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.cookies import remember
from gateway.panel.json_text import json_text
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.visit import PAGE_SIZE, Visit
from gateway.panel.webhook_view import address_of, chosen_webhook, show_webhooks

page = Page(path="/webhooks/given-up", title=N_("Dead letters"), scope=ApiScope.WEBHOOKS)
_PATH: Final = "/given-up"
_COOKIE: Final = "gateway_panel_retry"
_COOKIE_SECONDS: Final = 86_400
_BATCH: Final = 500
_SECONDS_OF_REQUEST: Final = 4.0
_MAX_DIGITS: Final = 9
STATUSES: Final = {
    "pending": N_("Given up"),
    "failed": N_("Failed again"),
    "processing": N_("Being posted again"),
    "success": N_("Delivered"),
    "discarded": N_("Discarded"),
}
_TONES: Final = {
    "pending": "bad",
    "failed": "bad",
    "processing": "wait",
    "success": "ok",
    "discarded": "plain",
}


@page.get()
async def show(visit: Visit) -> Response:
    status, webhook = visit.query("status"), visit.query("webhook")
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        return await show_webhooks(visit, "dead_letters.html")
    filters = {
        "page": visit.page_number(),
        "pageSize": PAGE_SIZE,
        "status": status if status in STATUSES else None,
        "webhookId": chosen_webhook(webhook),
    }
    listed: DeadLetterPage = await visit.execute(build(ListDeadLetters, filters), instance)
    rules: RetentionRules = await visit.execute(ReadRetention(), await visit.account())
    return await show_webhooks(
        visit,
        "dead_letters.html",
        listed=listed,
        status_shown=status,
        webhook=webhook,
        days=rules.dead_letter_days,
        total=_total_of(visit, instance),
        left=0,
        statuses=STATUSES,
        tones=_TONES,
    )


@page.get("/progress")
async def show_progress(visit: Visit) -> Response:
    """Answers how far the callbacks are that are posted again."""
    return await _progress(visit, await visit.instance(), left=0)


@page.get("/{id}")
async def show_one(visit: Visit) -> Response:
    operation = build(GetDeadLetter, {"eventId": visit.request.path_params["id"]})
    found: DeadLetter = await visit.execute(operation, await visit.instance())
    return await show_webhooks(
        visit,
        "dead_letter.html",
        dead=found,
        body=json_text(found.original_payload),
        statuses=STATUSES,
        tones=_TONES,
    )


@page.post("/retry")
async def retry(visit: Visit) -> Response:
    instance = await visit.instance()
    operation = build(RetryDeadLetter, {"eventId": visit.form.text("id")})
    await visit.execute(operation, instance)
    text = visit.gettext("It is posted again, after what already waits in its chat.")
    return visit.redirect(address_of(instance, _PATH), flash=text)


@page.post("/discard")
async def discard(visit: Visit) -> Response:
    instance = await visit.instance()
    operation = build(DiscardDeadLetter, {"eventId": visit.form.text("id")})
    await visit.execute(operation, instance)
    return visit.redirect(address_of(instance, _PATH), flash=visit.gettext("Discarded."))


@page.post("/purge")
async def purge(visit: Visit) -> Response:
    instance = await visit.instance()
    done: DeadLettersPurged = await visit.execute(PurgeDeadLetters(older_than_days=1), instance)
    text = visit.ngettext(
        "%(num)s finished dead letter was deleted.",
        "%(num)s finished dead letters were deleted.",
        done.deleted_count,
    )
    return visit.redirect(address_of(instance, _PATH), flash=text)


@page.post("/retry-all")
async def retry_all(visit: Visit) -> Response:
    """Posts as many again as some seconds allow; the page asks for the rest.

    Those that fail meanwhile are not chosen a second time: `left` only becomes smaller.
    """
    instance, form = await visit.instance(), visit.form
    webhook = chosen_webhook(form.text("webhook"))
    left, total = form.number("left"), form.number("total") or 0
    if left is None:
        stats: DeadLetterStats = await visit.execute(CountDeadLetters(webhook_id=webhook), instance)
        left = stats.by_status.get("pending", 0) + stats.by_status.get("failed", 0)
    retried, left = await _retry_some(visit, instance, webhook, left)
    total += retried
    if visit.is_htmx:
        response = await _progress(visit, instance, left=left, total=total)
    else:
        response = visit.redirect(address_of(instance, _PATH), flash=_outcome(visit, total, left))
    value = f"{instance.id}.{total}"
    remember(response, _COOKIE, value, visit.reached, seconds=_COOKIE_SECONDS)
    return response


async def _retry_some(
    visit: Visit, instance: Instance, webhook: UUID | None, left: int
) -> tuple[int, int]:
    """Returns how many are posted again, and how many are left for another request."""
    clock = visit.context.clock
    until, retried = clock.monotonic_seconds() + _SECONDS_OF_REQUEST, 0
    while left > 0:
        limit = min(_BATCH, left)
        done: DeadLettersRetried = await visit.execute(
            RetryAllDeadLetters(limit=limit, webhook_id=webhook), instance
        )
        retried, left = retried + done.retried_count, left - done.retried_count
        if done.retried_count < limit:
            return retried, 0
        if clock.monotonic_seconds() >= until:
            break
    return retried, left


async def _progress(
    visit: Visit, instance: Instance, *, left: int, total: int | None = None
) -> Response:
    stats: DeadLetterStats = await visit.execute(CountDeadLetters(), instance)
    return visit.fragment(
        "dead_letter_progress.html",
        number=instance,
        dead=stats,
        left=left,
        total=_total_of(visit, instance) if total is None else total,
        webhook=visit.form.text("webhook"),
    )


def _total_of(visit: Visit, instance: Instance) -> int:
    """Returns how many were posted again from this browser; 0 where it did not, or long ago."""
    name, _, total = visit.request.cookies.get(_COOKIE, "").partition(".")
    if name != instance.id or not total.isdecimal() or len(total) > _MAX_DIGITS:
        return 0
    return int(total)


def _outcome(visit: Visit, total: int, left: int) -> str:
    if left:
        return visit.gettext(
            "%(done)s are being posted again. %(left)s are left: press the button again.",
            done=total,
            left=left,
        )
    return visit.ngettext(
        "%(num)s is being posted again.", "%(num)s are being posted again.", total
    )
