"""The queue: what waits, in which order and why; stopping, starting and sorting it."""

from typing import Any, Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.phone_links import ConfirmLinking
from gateway.contract.extensions.queue_control import (
    DeleteFailed,
    MoveToFront,
    PauseQueue,
    QueueRetried,
    ResumeQueue,
    RetryFailed,
    RetryQueued,
)
from gateway.contract.operation import Operation
from gateway.contract.scopes import ApiScope
from gateway.contract.zapi.instance_queue import QueueRemoved, RemoveFromQueue
from gateway.instances.store import Instance
from gateway.panel import queue_calendar, queue_clearing, queue_lists, queue_settings
from gateway.panel.addresses import own_path
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.languages import N_
from gateway.panel.message_words import MessageWords
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.queue_view import (
    LANE_NAMES,
    address,
    count_lanes,
    read_lanes,
    read_now,
    read_settings,
)
from gateway.panel.visit import Visit

page = Page(
    path="/queue",
    title=N_("Queue"),
    icon="queue",
    section=Section.TODAY,
    order=20,
    on_phone=True,
)
_PATH: Final = "/panel/queue"


@page.get()
async def show(visit: Visit) -> Response:
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        return await visit.render("no_number.html", title=visit.gettext("Queue"))
    lane = visit.query("lane")
    lanes = await count_lanes(visit, instance)
    return await visit.render(
        "queue.html",
        number=instance,
        words=MessageWords(visit),
        now_view=await read_now(visit, instance, lanes),
        lanes_view=await read_lanes(visit, instance, lanes),
        settings=await read_settings(visit, instance),
        lane=lane if lane in LANE_NAMES else "normal",
    )


@page.get("/state")
async def show_state(visit: Visit) -> Response:
    """Answers the part of the page that says what the queue does."""
    instance = await visit.instance()
    return visit.fragment(
        "queue_state.html",
        number=instance,
        words=MessageWords(visit),
        now_view=await read_now(visit, instance, await count_lanes(visit, instance)),
    )


@page.get("/lanes")
async def show_lanes(visit: Visit) -> Response:
    """Answers the part of the page that lists what waits and what failed."""
    instance = await visit.instance()
    lane = visit.query("lane")
    return visit.fragment(
        "queue_lanes.html",
        number=instance,
        words=MessageWords(visit),
        lanes_view=await read_lanes(visit, instance, await count_lanes(visit, instance)),
        lane=lane if lane in LANE_NAMES else "normal",
    )


@page.post("/pause", scope=ApiScope.MANAGE)
async def pause(visit: Visit) -> Response:
    text = visit.gettext("Sending is paused. Nothing is lost: what waits goes on waiting.")
    return await _executed(visit, PauseQueue(), text)


@page.post("/resume", scope=ApiScope.MANAGE)
async def resume(visit: Visit) -> Response:
    return await _executed(visit, ResumeQueue(), visit.gettext("Sending goes on."))


@page.post("/confirm", scope=ApiScope.MANAGE)
async def confirm_linking(visit: Visit) -> Response:
    text = visit.gettext("The phone is confirmed. What waited is sent now.")
    return await _executed(visit, ConfirmLinking(), text)


@page.post("/front", scope=ApiScope.MANAGE)
async def move_to_front(visit: Visit) -> Response:
    text = visit.gettext("The message is now the first in its lane.")
    return await _executed(visit, build(MoveToFront, {"zaapId": visit.form.text("id")}), text)


@page.post("/cancel", scope=ApiScope.SEND)
async def cancel(visit: Visit) -> Response:
    text = visit.gettext("The message was canceled and will not be sent.")
    return await _executed(visit, build(RemoveFromQueue, {"zaapId": visit.form.text("id")}), text)


@page.post("/retry", scope=ApiScope.SEND)
async def retry(visit: Visit) -> Response:
    text = visit.gettext("The message waits again and is sent in its turn.")
    return await _executed(visit, build(RetryQueued, {"zaapId": visit.form.text("id")}), text)


@page.post("/failed/retry", scope=ApiScope.MANAGE)
async def retry_failed(visit: Visit) -> Response:
    instance = await _instance_of_form(visit)
    filters = queue_lists.failed_filters(visit.form.text)
    done: QueueRetried = await visit.execute(build(RetryFailed, filters), instance)
    text = visit.ngettext(
        "%(num)s message waits again.", "%(num)s messages wait again.", done.retried
    )
    return visit.redirect(_back(visit, instance), flash=text)


@page.post("/failed/delete", scope=ApiScope.MANAGE)
async def delete_failed(visit: Visit) -> Response:
    instance = await _instance_of_form(visit)
    visit.form.require_typed("typed", visit.form.text("count"))
    filters = queue_lists.failed_filters(visit.form.text)
    done: QueueRemoved = await visit.execute(build(DeleteFailed, filters), instance)
    text = visit.ngettext(
        "%(num)s message left the list; the history still has it.",
        "%(num)s messages left the list; the history still has them.",
        done.removed,
    )
    return visit.redirect(address(_PATH, instance), flash=text)


async def _executed(visit: Visit, operation: Operation[Any], text: str) -> Response:
    """Executes an operation on the number of the form, and leads back with a text."""
    instance = await _instance_of_form(visit)
    await visit.execute(operation, instance)
    return visit.redirect(_back(visit, instance), flash=text)


async def _instance_of_form(visit: Visit) -> Instance:
    """Returns the instance that the page showed: another tab may have chosen another one since."""
    return await visit.instance_named(visit.form.text("instance"))


def _back(visit: Visit, instance: Instance) -> str:
    return own_path(visit.form.text("next")) or address(_PATH, instance)


page.get("/lane/{lane}")(queue_lists.show_lane)
page.get("/failed")(queue_lists.show_failed)
page.get("/scheduled")(queue_calendar.show)
page.get("/clear", scope=ApiScope.MANAGE)(queue_clearing.show)
page.post("/clear", scope=ApiScope.MANAGE)(queue_clearing.clear)
page.get("/settings", scope=ApiScope.MANAGE)(queue_settings.show)
page.post("/settings", scope=ApiScope.MANAGE)(queue_settings.change)
