"""The lists of the queue on pages of their own: one lane, and what could not be sent."""

from collections.abc import Callable, Mapping
from typing import Final, cast

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.extensions.queue_control import FailedPage, ListFailed
from gateway.contract.extensions.queue_lanes import (
    LaneName,
    LanePage,
    ListLane,
    QueueLanes,
    ReadLanes,
)
from gateway.errors import InvalidRequest, UnknownRoute
from gateway.panel.message_words import MessageWords
from gateway.panel.queue_view import LANE_NAMES, address
from gateway.panel.visit import PAGE_SIZE, Visit

_FAILED_PATH: Final = "/panel/queue/failed"
_STATES: Final = ("pending", "retrying")


def kinds(words: MessageWords) -> list[tuple[str, str]]:
    """Returns the kinds of messages that are sent, with their words, for a choice."""
    return sorted(
        ((name, words.kind(name)) for name in catalogue().sends), key=lambda each: each[1]
    )


async def show_lane(visit: Visit) -> Response:
    lane = visit.request.path_params["lane"]
    if lane not in LANE_NAMES:
        raise UnknownRoute
    instance = await visit.instance()
    path = f"/panel/queue/lane/{lane}"
    chosen = {name: visit.query(name) for name in ("phone", "type", "status")}
    filters = {name: value for name, value in chosen.items() if value}
    listed, error = None, ""
    try:
        operation = build(
            ListLane,
            {"lane": lane, **filters, "pageSize": PAGE_SIZE, **_cursor(visit)},
        )
        listed = cast("LanePage", await visit.execute(operation, instance))
    except InvalidRequest as wrong:
        error = str(wrong)
    lanes: QueueLanes = await visit.execute(ReadLanes(), instance)
    words = MessageWords(visit)
    return await visit.render(
        "queue_lane.html",
        number=instance,
        words=words,
        lane=cast("LaneName", lane),
        lanes=lanes,
        listed=listed,
        error=error,
        chosen=chosen,
        is_filtered=bool(filters),
        is_first=not visit.query("after"),
        kinds=kinds(words),
        states=_STATES,
        path=path,
        here=address(path, instance, **chosen),
    )


async def show_failed(visit: Visit) -> Response:
    instance = await visit.instance()
    filters = failed_filters(visit.query)
    listed, error = None, ""
    try:
        operation = build(
            ListFailed,
            {**filters, "latestFirst": True, "pageSize": PAGE_SIZE, **_cursor(visit)},
        )
        listed = cast("FailedPage", await visit.execute(operation, instance))
    except InvalidRequest as wrong:
        error = str(wrong)
    lanes: QueueLanes = await visit.execute(ReadLanes(), instance)
    words = MessageWords(visit)
    return await visit.render(
        "queue_failed.html",
        number=instance,
        words=words,
        listed=listed,
        error=error,
        total=lanes.failed,
        chosen={"phone": visit.query("phone"), "type": visit.query("type")},
        filters=filters,
        is_first=not visit.query("after"),
        kinds=kinds(words),
        here=address(_FAILED_PATH, instance, **filters),
    )


def failed_filters(given: Callable[[str], str]) -> Mapping[str, str]:
    """Returns the filters of failed messages that a form or an address gives."""
    return {name: value for name in ("type", "phone") if (value := given(name))}


def _cursor(visit: Visit) -> Mapping[str, str]:
    after = visit.query("after")
    return {"pagingState": after} if after else {}
