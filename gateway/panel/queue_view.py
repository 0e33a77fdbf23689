"""What the pages of the queue show: its state, its lanes, what failed, and who stopped it."""

import asyncio
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
    QueueStats,
    ReadQueueSettings,
    ReadQueueStats,
)
from gateway.contract.extensions.queue_lanes import (
    LaneMessage,
    LaneName,
    LanePage,
    ListLane,
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

    stats: QueueStats
    lanes: QueueLanes
    last_change: LastChange | None

    @property
    def mode(self) -> Mode:
        """What the queue does now; the first thing that stops it."""
        if self.stats.paused:
            return "paused"
        if not self.stats.connected:
            return "disconnected"
        if self.stats.hold_kind:
            return self.stats.hold_kind
        if self.lanes.sending:
            return "sending"
        return "waiting" if self.waiting else "idle"

    @property
    def waiting(self) -> int:
        """Counts the messages that wait for their turn, with the one that is being sent."""
        return sum(lane.waiting for lane in self.lanes.lanes) + bool(self.lanes.sending)

    @property
    def sending(self) -> LaneMessage | None:
        return self.lanes.sending


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


async def read_now(visit: Visit, instance: Instance) -> QueueNow:
    stats: QueueStats = await visit.execute(ReadQueueStats(), instance)
    lanes: QueueLanes = await visit.execute(ReadLanes(), instance)
    return QueueNow(stats, lanes, await _last_change(visit, instance, is_paused=stats.paused))


async def read_lanes(visit: Visit, instance: Instance) -> LanesView:
    lanes: QueueLanes = await visit.execute(ReadLanes(), instance)
    counts = {each.lane: each.waiting for each in lanes.lanes}
    pages = await asyncio.gather(*(_first_of(visit, instance, name, counts) for name in LANE_NAMES))
    failed = FailedPage(messages=(), paging_state=None, has_more=False, queue_length=0)
    if lanes.failed:
        failed = await visit.execute(
            ListFailed(latest_first=True, page_size=_SHOWN_FAILED), instance
        )
    return LanesView(pages, failed, lanes.failed)


async def _first_of(
    visit: Visit, instance: Instance, name: LaneName, counts: dict[LaneName, int]
) -> LaneView:
    if not counts[name]:
        return LaneView(name, 0, ())
    page: LanePage = await visit.execute(ListLane(lane=name, page_size=_SHOWN), instance)
    return LaneView(name, counts[name], page.messages)


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
