"""Contacts and privacy: who agreed to be written to, and who opted out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.account import SetConsentRule
from gateway.contract.extensions.contacts import (
    ConsentPage,
    ForgetConsent,
    ListConsents,
    RecordConsent,
)
from gateway.contract.scopes import ApiScope
from gateway.errors import InvalidRequest
from gateway.instances.store import Instance
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.cookies import Flash
from gateway.panel.languages import N_
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.privacy_view import address_of, show_privacy
from gateway.panel.visit import PAGE_SIZE, Visit

page = Page(
    path="/privacy",
    title=N_("Contacts and privacy"),
    icon="shield",
    section=Section.TRUST,
    scope=ApiScope.READ,
    order=10,
)
_STATUSES: Final = frozenset({"granted", "revoked"})
_MAX_QUERY_LENGTH: Final = 100


@page.get()
async def show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(
    visit: Visit,
    *,
    typed: Mapping[str, str] | None = None,
    problem: str = "",
) -> Response:
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        return await show_privacy(visit, "privacy.html")
    field, _, text = problem.partition(": ")
    is_known = field in {"phone", "source", "note"}
    status, query = visit.query("status"), visit.query("q")[:_MAX_QUERY_LENGTH]
    number = visit.page_number()
    listed: ConsentPage = await visit.execute(
        build(
            ListConsents,
            {
                "page": number,
                "pageSize": PAGE_SIZE,
                "status": status if status in _STATUSES else None,
                "query": query or None,
            },
        ),
        instance,
    )
    return await show_privacy(
        visit,
        "privacy.html",
        400 if problem else 200,
        flash=Flash("bad", problem) if problem and not is_known else None,
        listed=listed,
        times={each.phone: datetime.fromtimestamp(each.at / 1000, UTC) for each in listed.consents},
        status_shown=status,
        q=query,
        page_number=number,
        pages=-(-listed.total // PAGE_SIZE),
        granted=await _count(visit, instance, "granted"),
        revoked=await _count(visit, instance, "revoked"),
        typed=typed or {},
        errors={field: text} if is_known else {},
    )


async def _count(visit: Visit, instance: Instance, status: str) -> int:
    counted: ConsentPage = await visit.execute(
        build(ListConsents, {"status": status, "pageSize": 1}), instance
    )
    return counted.total


@page.post("/consent", scope=ApiScope.SEND)
async def record(visit: Visit) -> Response:
    instance, form = await visit.instance(), visit.form
    typed = {name: form.text(name) for name in ("phone", "status", "source", "note")}
    try:
        given = {name: text or None for name, text in typed.items()}
        await visit.execute(build(RecordConsent, given), instance)
    except InvalidRequest as error:
        return await _page(visit, typed=typed, problem=str(error))
    text = (
        visit.gettext("Recorded: this person opted out.")
        if typed["status"] == "revoked"
        else visit.gettext("Recorded: this person agreed.")
    )
    return visit.redirect(address_of(instance), flash=text)


@page.post("/consent/delete", scope=ApiScope.SEND)
async def delete(visit: Visit) -> Response:
    instance = await visit.instance()
    await visit.execute(build(ForgetConsent, {"phone": visit.form.text("phone")}), instance)
    return visit.redirect(address_of(instance), flash=visit.gettext("The record was deleted."))


@page.post("/rule", scope=ApiScope.MANAGE)
async def set_rule(visit: Visit) -> Response:
    """Decides for the whole account whether messages to people who opted out are refused."""
    instance, refuses = await visit.instance(), visit.form.text("refuse") == "on"
    await visit.execute(SetConsentRule(value=refuses), await visit.account())
    text = (
        visit.gettext("Messages to people who opted out are refused from now on.")
        if refuses
        else visit.gettext("Messages to people who opted out are sent again.")
    )
    return visit.redirect(address_of(instance), flash=text)
