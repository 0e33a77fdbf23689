"""Replay: posting the callbacks of a span of time again, after a look at how many these are."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.replay import CountReplay, ReplayCount, Replayed, ReplayWebhooks
from gateway.contract.scopes import ApiScope
from gateway.errors import InvalidRequest
from gateway.instances.store import Instance
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.cookies import Flash, remember
from gateway.panel.forms import Form
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.replay_job import ReplayJob, job_of_cookie, job_of_form
from gateway.panel.visit import Visit
from gateway.panel.webhook_view import address_of, chosen_webhook, show_webhooks

page = Page(path="/webhooks/replay", title=N_("Replay"), scope=ApiScope.WEBHOOKS)
_COOKIE: Final = "gateway_panel_replay"
_COOKIE_SECONDS: Final = 7 * 86_400
_SECONDS_OF_REQUEST: Final = 4.0
_TO_THE_MINUTE: Final = "%Y-%m-%dT%H:%M"
_SPANS: Final[Mapping[str, timedelta]] = {
    N_("Last hour"): timedelta(hours=1),
    N_("Last 24 hours"): timedelta(hours=24),
    N_("Last 7 days"): timedelta(days=7),
}


@page.get()
async def show(visit: Visit) -> Response:
    """Answers the form; with `from` also how many callbacks the span of time has."""
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        return await show_webhooks(visit, "replay.html")
    given = visit.request.query_params
    form = Form({name: given.getlist(name) for name in given})
    if not form.text("from"):
        return await _page(visit, instance)
    try:
        job = job_of_form(
            form, instance.id, zone=visit.zone, now=visit.context.clock.now(), total=0
        )
        counted: ReplayCount = await visit.execute(
            build(CountReplay, {"from": job.since.isoformat(), "to": job.until.isoformat()}),
            instance,
        )
    except InvalidRequest as error:
        return await _page(visit, instance, problem=str(error))
    return await _page(visit, instance, job, counted)


@page.post()
async def replay(visit: Visit) -> Response:
    """Posts as many again as some seconds allow; the page asks for the rest."""
    instance, clock = await visit.instance(), visit.context.clock
    job = job_of_form(visit.form, instance.id, zone=visit.zone, now=clock.now(), total=0)
    until = clock.monotonic_seconds() + _SECONDS_OF_REQUEST
    left: ReplayJob | None = job
    done = job.done
    while left is not None:
        answer: Replayed = await visit.execute(_operation_of(left), instance)
        done += answer.replayed
        left = left.after(answer)
        if clock.monotonic_seconds() >= until:
            break
    response = await _answer(visit, instance, left, done)
    if left is None:
        response.delete_cookie(_COOKIE)
    else:
        remember(response, _COOKIE, left.as_cookie(), visit.reached, seconds=_COOKIE_SECONDS)
    return response


@page.post("/drop")
async def drop_rest(visit: Visit) -> Response:
    """Drops what is left of a replay that was not finished."""
    response = visit.redirect(address_of(await visit.instance(), "/replay"))
    response.delete_cookie(_COOKIE)
    return response


async def _answer(visit: Visit, instance: Instance, left: ReplayJob | None, done: int) -> Response:
    if visit.is_htmx:
        return visit.fragment(
            "replay_progress.html", number=instance, left=left, done=done, goes_on=True
        )
    if left is not None:
        return visit.redirect(address_of(instance, "/replay"))
    text = visit.ngettext(
        "%(num)s callback is posted again.", "%(num)s callbacks are posted again.", done
    )
    return visit.redirect(address_of(instance, "/replay"), flash=text)


async def _page(
    visit: Visit,
    instance: Instance,
    job: ReplayJob | None = None,
    counted: ReplayCount | None = None,
    *,
    problem: str = "",
) -> Response:
    now = visit.context.clock.now().astimezone(visit.zone)
    chosen = set(job.types) if job else set()
    count = counted.by_type if counted else {}
    return await show_webhooks(
        visit,
        "replay.html",
        400 if problem else 200,
        flash=Flash("bad", problem) if problem else None,
        job=job,
        counted=counted,
        count=sum(n for kind, n in count.items() if not chosen or kind in chosen),
        since=job.since.astimezone(visit.zone).strftime(_TO_THE_MINUTE) if job else "",
        until=job.until.astimezone(visit.zone).strftime(_TO_THE_MINUTE) if job else "",
        chosen=chosen,
        spans=[(name, (now - span).strftime(_TO_THE_MINUTE)) for name, span in _SPANS.items()],
        zone_name=str(visit.zone),
        left=job_of_cookie(visit.request.cookies, _COOKIE, instance.id),
    )


def _operation_of(job: ReplayJob) -> ReplayWebhooks:
    webhook = chosen_webhook(job.webhook)
    return build(
        ReplayWebhooks,
        {
            "from": job.since.isoformat(),
            "to": job.until.isoformat(),
            "types": list(job.types) or None,
            "webhookId": str(webhook) if webhook else None,
        },
    )
