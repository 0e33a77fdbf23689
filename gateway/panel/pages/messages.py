"""Messages: a search over the queue and the history, and one message with its line of time."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, cast

from pydantic_core import PydanticCustomError
from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.history import (
    WAITING_STATUSES,
    MessagePage,
    MessageTimeline,
    ReadTimeline,
    SearchMessages,
)
from gateway.contract.extensions.queue_control import ReadQueued, TrackedMessage
from gateway.contract.spellings import parse_chat
from gateway.errors import InvalidRequest
from gateway.instances.store import Instance
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.languages import N_
from gateway.panel.message_timeline import steps_of
from gateway.panel.message_words import STATES, MessageWords
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.queue_calendar import read_day, start_of
from gateway.panel.queue_view import address
from gateway.panel.visit import PAGE_SIZE, Visit

page = Page(
    path="/messages",
    title=N_("Messages"),
    icon="message",
    section=Section.MESSAGES,
    order=20,
)
_PATH: Final = "/panel/messages"
_FIELDS: Final = ("q", "status", "from", "to")
_SEARCHED: Final = ("waiting", *(name for name in STATES if name not in WAITING_STATUSES))
_LIVE_FOR: Final = timedelta(hours=1)
_NOT_FINAL: Final = frozenset({*WAITING_STATUSES, "sent", "delivered"})


@page.get()
async def search(visit: Visit) -> Response:
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        return await visit.render("no_number.html", title=visit.gettext("Messages"))
    chosen = {name: visit.query(name) for name in _FIELDS}
    found, error = None, ""
    try:
        operation = build(SearchMessages, _filters(visit))
        found = cast("MessagePage", await visit.execute(operation, instance))
    except InvalidRequest as wrong:
        error = str(wrong)
    return await visit.render(
        "messages.html",
        number=instance,
        words=MessageWords(visit),
        chosen=chosen,
        is_filtered=any(chosen.values()),
        states=_SEARCHED,
        found=found,
        error=error,
        is_first=not visit.query("after"),
        here=address(_PATH, instance, **chosen),
    )


@page.get("/{id}")
async def show(visit: Visit) -> Response:
    instance = await visit.instance()
    return await visit.render("message.html", **await _one(visit, instance))


@page.get("/{id}/state")
async def show_state(visit: Visit) -> Response:
    """Answers the part of the page of a message that changes."""
    instance = await visit.instance()
    return visit.fragment("message_state.html", **await _one(visit, instance))


async def _one(visit: Visit, instance: Instance) -> Mapping[str, Any]:
    name = visit.request.path_params["id"]
    timeline: MessageTimeline = await visit.execute(
        build(ReadTimeline, None, path={"message_id": name}), instance
    )
    message = timeline.message
    queued: TrackedMessage | None = None
    if message.zaap_id:
        queued = await visit.execute(build(ReadQueued, None, path={"zaap_id": name}), instance)
    is_recent = visit.context.clock.now() - message.recorded_at < _LIVE_FOR
    return {
        "number": instance,
        "words": MessageWords(visit),
        "message": message,
        "queued": queued,
        "steps": steps_of(visit, timeline),
        "may_change": message.status in WAITING_STATUSES
        or (is_recent and message.status in _NOT_FINAL),
        "here": address(f"{_PATH}/{message.message_id}", instance),
        "back": address(_PATH, instance),
    }


def _filters(visit: Visit) -> Mapping[str, Any]:
    """Returns the fields of the search; what is no phone number or chat is the id of a message."""
    filters: dict[str, object] = {"pageSize": PAGE_SIZE}
    text = visit.query("q")
    if text:
        filters["phone" if _is_chat(text) else "id"] = text
    if visit.query("status"):
        filters["status"] = visit.query("status")
    if visit.query("after"):
        filters["pagingState"] = visit.query("after")
    filters.update(_span(visit))
    return filters


def _span(visit: Visit) -> Mapping[str, datetime]:
    """Returns the times between two days of the visitor's zone; the last day is included."""
    span = {}
    for name, is_last in (("from", False), ("to", True)):
        text = visit.query(name)
        day = read_day(text)
        if text and day is None:
            raise InvalidRequest(visit.gettext("Write a day such as 2026-01-31."))
        if day:
            span[name] = start_of(day + timedelta(days=is_last), visit.zone)
    return span


def _is_chat(text: str) -> bool:
    try:
        parse_chat(text)
    except PydanticCustomError:
        return False
    return True
