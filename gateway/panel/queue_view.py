"""What the pages of the queue show: its state, its lanes, what failed, and who stopped it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlencode

from gateway.contract.extensions.account import Act, ListActs
from gateway.contract.extensions.queue_control import (
    FailedPage,
    ListFailed,
    QueueSettings,
    ReadQueueSettings,
)
from gateway.contract.extensions.queue_head import QueueHead, ReadQueueHead
from gateway.contract.extensions.queue_lanes import (
    LaneMessage,
    LaneName,
    QueueLanes,
    ReadLanes,
)
from gateway.instances.store import Instance
from gateway.panel.visit import Visit

LANE_NAMES: Final[tuple[LaneName, ...]] = ("high", "normal", "bulk")
_SHOWN, _SHOWN_FAILED = 8, 5
_RECENT: Final = timedelta(hours=1)

Mode = Literal[
    "paused", "disconnected", "linking", "restricted", "daily_limit", "sending", "waiting", "idle"
]


@dataclass(frozen=True, slots=True)
class LastChange:
    """Who paused or resumed the queue last; `user` is None for a program."""

    at: datetime
    user: str | None


@dataclass(frozen=True, slots=True)
class QueueNow:
    """The queue at a glance."""

    head: QueueHead
    lanes: QueueLanes
    last_change: LastChange | None

    @property
    def mode(self) -> Mode:
        """What the queue does now; the first thing that stops it."""
        if self.head.paused:
            return "paused"
        if not self.head.connected:
            return "disconnected"
        if self.head.hold_kind:
            return self.head.hold_kind
        if self.head.sending:
            return "sending"
        return "waiting" if self.waiting else "idle"

    @property
    def waiting(self) -> int:
        """Counts the messages that wait for their turn, with the one that is being sent."""
        return sum(lane.waiting for lane in self.lanes.lanes) + bool(self.head.sending)

    @property
    def seconds_to_empty(self) -> float:
        """Estimates from the usual pause, the delays of the next messages and a hold."""
        return self.waiting * self.head.seconds_per_message + self.head.hold_seconds


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane with its first messages."""

    name: LaneName
    waiting: int
    messages: Sequence[LaneMessage]


@dataclass(frozen=True, slots=True)
class LanesView:
    """The three lanes side by side, and what failed last."""

    lanes: Sequence[LaneView]
    failed: FailedPage
    failed_count: int


async def read_now(visit: Visit, instance: Instance, lanes: QueueLanes) -> QueueNow:
    head: QueueHead = await visit.execute(ReadQueueHead(), instance)
    return QueueNow(head, lanes, await _last_change(visit, instance, is_paused=head.paused))


async def read_lanes(visit: Visit, instance: Instance, lanes: QueueLanes) -> LanesView:
    head: QueueHead = await visit.execute(ReadQueueHead(first=_SHOWN), instance)
    views = [
        # What came since it was counted is shown, too.
        LaneView(each.lane, max(each.waiting, len(head.first[each.lane])), head.first[each.lane])
        for each in lanes.lanes
    ]
    failed = FailedPage(messages=(), paging_state=None, has_more=False, queue_length=0)
    if lanes.failed:
        failed = await visit.execute(
            ListFailed(latest_first=True, page_size=_SHOWN_FAILED), instance
        )
    return LanesView(views, failed, lanes.failed)


async def count_lanes(visit: Visit, instance: Instance) -> QueueLanes:
    """Counts what waits. The live parts of all tabs share it where it is slow."""
    visit.caller.require_instance(instance.account_id, instance.id)

    async def count() -> QueueLanes:
        counted: QueueLanes = await visit.execute(ReadLanes(), instance)
        return counted

    if not visit.is_htmx:  # a page, perhaps after a change
        return await count()
    shared: QueueLanes = await visit.services.recent.get(f"lanes {instance.id}", count)
    return shared


async def read_settings(visit: Visit, instance: Instance) -> QueueSettings:
    settings: QueueSettings = await visit.execute(ReadQueueSettings(), instance)
    return settings


async def _last_change(visit: Visit, instance: Instance, *, is_paused: bool) -> LastChange | None:
    """Returns who stopped a queue that stands still, or started one within the last hour."""
    account = await visit.services.gateway.accounts.find(instance.account_id)
    if account is None or not visit.may("manage"):
        return None
    since = None if is_paused else visit.context.clock.now() - _RECENT
    acts: Sequence[Act] = await visit.execute(
        ListActs.model_validate(
            {
                "act": "PauseQueue" if is_paused else "ResumeQueue",
                "instanceId": instance.id,
                "outcome": "done",
                "pageSize": 1,
                "from": since,
            }
        ),
        account,
    )
    return LastChange(acts[0].at, acts[0].user) if acts else None


def address(path: str, instance: Instance, **parameters: str | None) -> str:
    """Returns the address of a page for one instance, with the parameters that have a value."""
    given = {name: value for name, value in parameters.items() if value}
    return f"{path}?{urlencode({'instance': instance.id, **given})}"
