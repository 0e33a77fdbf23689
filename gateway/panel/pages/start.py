"""The first page: is all well, what needs attention, what happened, and what to do first."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response

from gateway.contract.extensions.overview import (
    FindingKind,
    ListOverviewInstances,
    Overview,
    OverviewInstance,
    OverviewInstancePage,
    ReadOverview,
    Severity,
)
from gateway.contract.extensions.traffic import ReadTraffic, Traffic
from gateway.contract.scopes import ApiScope
from gateway.instances.accounts import Account
from gateway.panel.choices import NoAccount
from gateway.panel.cookies import remember
from gateway.panel.finding_words import FindingGroup, groups_of
from gateway.panel.first_steps import STEPS_COOKIE, FirstStep, first_steps
from gateway.panel.formats import Formats
from gateway.panel.languages import N_, locale_of
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.traffic_charts import SPANS, TrafficCharts, traffic_charts
from gateway.panel.visit import Visit

page = Page(
    path="/", title=N_("Start"), icon="home", section=Section.TODAY, order=10, on_phone=True
)
_PATH: Final = "/panel/"
_LONG: Final = timedelta(days=90)
_LONG_STEP_SECONDS: Final = 86_400
_MAX_NUMBERS: Final = 6
"""An account with more numbers sees only those that need attention."""


@dataclass(frozen=True, slots=True)
class Health:
    """The whole in one sentence."""

    tone: str
    text: str
    hint: str


@page.get()
async def show(visit: Visit) -> Response:
    try:
        account = await visit.account()
    except NoAccount:
        return await visit.render("start.html", overview=None, **_links(visit))
    async with asyncio.TaskGroup() as reading:
        overview_read = reading.create_task(_overview(visit, account))
        charts_read = reading.create_task(traffic_charts(visit, account))
    overview, charts = overview_read.result(), charts_read.result()
    return await visit.render(
        "start.html",
        **_now(visit, account, overview),
        **_traffic(charts),
        **await _for_small_accounts(visit, account, overview, charts.accepted),
    )


@page.get("/now")
async def show_now(visit: Visit) -> Response:
    """Returns the state again, for a page that is open; open tabs share it for a few seconds."""
    account = await visit.account()
    visit.caller.require_account(account.id)
    overview = await visit.services.recent.get(
        f"overview {account.id}", lambda: _overview(visit, account)
    )
    return visit.fragment("start_now.html", **_now(visit, account, overview))


@page.get("/traffic")
async def show_traffic(visit: Visit) -> Response:
    """Returns the charts of another span."""
    charts = await traffic_charts(visit, await visit.account())
    return visit.fragment("start_traffic.html", **_traffic(charts))


@page.post("/first-steps/hide", scope=ApiScope.READ)
async def hide_first_steps(visit: Visit) -> Response:
    response = visit.redirect(_PATH)
    remember(response, STEPS_COOKIE, (await visit.account()).id, visit.reached)
    return response


async def _overview(visit: Visit, account: Account) -> Overview:
    overview: Overview = await visit.execute(ReadOverview(), account)
    return overview


def _now(visit: Visit, account: Account, overview: Overview) -> Mapping[str, Any]:
    groups = groups_of(visit, overview.findings, overview.finding_counts)
    urgent = [each for each in groups if each.severity is not Severity.INFO]
    is_step = _shows_steps(visit, account, overview) and not _has_webhook(overview)
    suggestions = [
        each
        for each in groups
        if each.severity is Severity.INFO
        and not (is_step and each.kind is FindingKind.NO_WEBHOOK)  # the first steps say it
    ]
    return {
        "overview": overview,
        "health": _health(visit, overview, urgent),
        "urgent": urgent,
        "suggestions": suggestions,
        "topic": f"account:{account.id}",
        **_links(visit),
    }


def _traffic(charts: TrafficCharts) -> Mapping[str, Any]:
    return {"charts": charts, "spans": SPANS, "path": _PATH}


def _links(visit: Visit) -> Mapping[str, Any]:
    pages = {"instances": "/panel/instances", "queue": "/panel/queue", "system": "/panel/system"}
    pages["webhooks"] = "/panel/webhooks"
    return {
        "pages": {name: path if visit.has_page(path) else "" for name, path in pages.items()},
        "may_manage": visit.may(ApiScope.MANAGE),
    }


def _health(visit: Visit, overview: Overview, urgent: Sequence[FindingGroup]) -> Health:
    gettext, ngettext = visit.gettext, visit.ngettext
    total, connected = overview.instances.total, overview.instances.connected
    if not total:
        return Health("plain", gettext("Nothing is set up yet."), gettext("Begin below."))
    critical = sum(each.count for each in urgent if each.severity is Severity.CRITICAL)
    if critical:
        text = ngettext(
            "%(num)s thing keeps messages from leaving or arriving.",
            "%(num)s things keep messages from leaving or arriving.",
            critical,
            num=Formats(locale_of(visit.language)).number(critical),
        )
        return Health("bad", text, gettext("What to do is below."))
    if urgent:
        count = sum(each.count for each in urgent)
        text = ngettext(
            "Messages leave and arrive. %(num)s thing needs a look.",
            "Messages leave and arrive. %(num)s things need a look.",
            count,
            num=Formats(locale_of(visit.language)).number(count),
        )
        return Health("warn", text, gettext("What to do is below."))
    if not connected:
        return Health("plain", gettext("No phone is linked yet."), gettext("Link one to begin."))
    return Health("ok", gettext("All is well."), gettext("Messages leave and arrive."))


async def _for_small_accounts(
    visit: Visit, account: Account, overview: Overview, accepted: int
) -> Mapping[str, Any]:
    """Returns the list of a few numbers, and the first steps while they are not done."""
    numbers: Sequence[OverviewInstance] = ()
    if overview.instances.total <= _MAX_NUMBERS:
        listed: OverviewInstancePage = await visit.execute(
            ListOverviewInstances(page_size=_MAX_NUMBERS), account
        )
        numbers = listed.instances
    return {"numbers": numbers, "steps": await _steps(visit, account, overview, numbers, accepted)}


async def _steps(
    visit: Visit,
    account: Account,
    overview: Overview,
    numbers: Sequence[OverviewInstance],
    accepted: int,
) -> Sequence[FirstStep]:
    """Returns the first steps; none once all are done, or the account has many numbers."""
    if not _shows_steps(visit, account, overview):
        return ()
    steps = first_steps(
        visit,
        numbers,
        has_sent=bool(accepted) or await _has_sent(visit, account, overview),
        has_webhook=_has_webhook(overview),
    )
    return () if all(each.is_done for each in steps) else steps


def _shows_steps(visit: Visit, account: Account, overview: Overview) -> bool:
    is_hidden = visit.request.cookies.get(STEPS_COOKIE) == account.id
    return not is_hidden and overview.instances.total <= _MAX_NUMBERS


def _has_webhook(overview: Overview) -> bool:
    unheard = overview.finding_counts.get(FindingKind.NO_WEBHOOK.value, 0)
    return unheard < overview.instances.total


async def _has_sent(visit: Visit, account: Account, overview: Overview) -> bool:
    queue = overview.queue
    if queue.waiting or queue.scheduled or queue.failed or queue.sent_recently:
        return True
    now = visit.context.clock.now()
    whole: Traffic = await visit.execute(
        ReadTraffic(since=now - _LONG, until=now, step=_LONG_STEP_SECONDS), account
    )
    return any(each.accepted for each in whole.points)
