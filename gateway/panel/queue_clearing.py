"""Clearing the queue: a filter, the number that it would remove, and that number typed."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.queue_lanes import CountMatching, MatchingCount
from gateway.contract.zapi.instance_queue import ClearQueue, QueueRemoved
from gateway.errors import Conflict, InvalidRequest
from gateway.instances.store import Instance
from gateway.panel.message_words import MessageWords
from gateway.panel.queue_lists import kinds
from gateway.panel.queue_view import address
from gateway.panel.visit import Visit

_PATH: Final = "/panel/queue"
_NAMES: Final = {"status": "status", "type": "type", "phone": "phone", "reference": "trackId"}
_STATES: Final = ("pending", "retrying", "scheduled")
_AGES: Final[Mapping[str, timedelta]] = {
    "": timedelta(0),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}


async def show(visit: Visit) -> Response:
    """Shows the filter; once it was chosen, how many messages it would remove."""
    instance = await visit.instance()
    age = visit.query("age")
    before = visit.context.clock.now() - _AGES.get(age, timedelta(0))
    count, error = None, ""
    if visit.query("check"):
        try:
            count = await _count(visit, instance, visit.query, before)
        except InvalidRequest as wrong:
            error = str(wrong)
    words = MessageWords(visit)
    return await visit.render(
        "queue_clear.html",
        number=instance,
        words=words,
        chosen={name: visit.query(name) for name in _NAMES},
        age=age if age in _AGES else "",
        before=before,
        count=count,
        error=error,
        kinds=kinds(words),
        states=_STATES,
        back=address(_PATH, instance),
    )


async def clear(visit: Visit) -> Response:
    """Removes what the filter matches, if it is no more than the person agreed to.

    Messages that were accepted after the page was shown stay.
    """
    form = visit.form
    instance = await visit.instance_named(form.text("instance"))
    form.require_typed("typed", form.text("count"))
    before = _time(form.text("before"))
    agreed = form.number("count") or 0
    if await _count(visit, instance, form.text, before) > agreed:
        raise Conflict(visit.gettext("More messages match by now: look at the number again."))
    filters = {**_filters(form.text), "olderThan": before.isoformat()}
    done: QueueRemoved = await visit.execute(build(ClearQueue, filters), instance)
    text = visit.ngettext(
        "%(num)s message was canceled.", "%(num)s messages were canceled.", done.removed
    )
    return visit.redirect(address(_PATH, instance), flash=text)


async def _count(
    visit: Visit, instance: Instance, given: Callable[[str], str], before: datetime
) -> int:
    operation = build(CountMatching, {**_filters(given), "olderThan": before.isoformat()})
    found: MatchingCount = await visit.execute(operation, instance)
    return found.count


def _filters(given: Callable[[str], str]) -> dict[str, str]:
    return {wire: value for name, wire in _NAMES.items() if (value := given(name))}


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest("The form is damaged: open the page again") from None
    if at.tzinfo is None:
        raise InvalidRequest("The form is damaged: open the page again")
    return at
