"""An account at a glance: its instances in pages, its state now, and what needs attention."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from gateway.administration.findings import FoundProblems, ProblemFinder, finding_of, utc
from gateway.contract.extensions.overview import (
    CallbackTotals,
    FindingKind,
    InstanceCounts,
    ListOverviewInstances,
    Overview,
    OverviewInstance,
    OverviewInstancePage,
    QueueTotals,
    ReadOverview,
    ReadRetention,
    RetentionRules,
)
from gateway.contract.extensions.partner import RotatedToken, RotateInstanceToken
from gateway.contract.handlers import Handlers
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.instances.accounts import Account
from gateway.instances.creation import Registry
from gateway.media.allowance import StorageAllowance
from gateway.sessions.connection import ConnectionState

_LIST_INSTANCES = query("overview", "list_overview_instances")
_COUNT_INSTANCES = query("overview", "count_overview_instances")
_READ_TOTALS = query("overview", "read_overview_totals")

_NEARLY: Final = 0.9
_PHONE = re.compile(r"[0-9 ()+.-]{3,}", re.ASCII)
_CONNECTED: Final = ConnectionState.CONNECTED.value


@dataclass(frozen=True, slots=True)
class OverviewContext:
    """What the handlers need."""

    database: Database
    problems: ProblemFinder
    allowance: StorageAllowance
    retention: RetentionRules
    registry: Registry
    account: Account


@dataclass(frozen=True, slots=True)
class _Instance:
    id: str
    name: str
    provider: str
    created_at: datetime
    state: str
    phone: str | None
    reason: str | None
    down_since: datetime
    paused: bool
    pause_changed_at: datetime | None
    hold_kind: str | None
    hold_until: datetime | None
    waiting: int
    failed: int
    last_message_at: datetime | None


@dataclass(frozen=True, slots=True)
class _OfState:
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The queues and callbacks of an account, or of all, now."""

    waiting: int
    scheduled: int
    failed: int
    failed_last_hour: int
    oldest_seconds: float | None
    sent_recently: int
    callbacks: int
    callback_lag_seconds: float | None
    dead_letters: int

    @property
    def queue(self) -> QueueTotals:
        return QueueTotals(
            waiting=self.waiting,
            scheduled=self.scheduled,
            failed=self.failed,
            failed_last_hour=self.failed_last_hour,
            sent_recently=self.sent_recently,
            oldest_seconds=self.oldest_seconds,
        )

    @property
    def of_callbacks(self) -> CallbackTotals:
        return CallbackTotals(
            waiting=self.callbacks,
            lag_seconds=self.callback_lag_seconds,
            dead_letters=self.dead_letters,
        )


handlers = Handlers[OverviewContext]()


@handlers.handles(ListOverviewInstances)
async def list_instances(
    context: OverviewContext, operation: ListOverviewInstances
) -> OverviewInstancePage:
    where = {
        "account_id": context.account.id,
        "provider": operation.provider,
        "text": operation.query.strip(),
        "digits": _digits_of(operation.query),
        "quiet_days": operation.quiet_days,
    }
    states = await _states(context.database, where)
    wanted = _states_of(operation.state)
    rows = await context.database.fetch_all(
        _Instance,
        _LIST_INSTANCES,
        **where,
        states=wanted,
        sort=operation.sort,
        descending=operation.descending,
        limit=operation.page_size,
        offset=operation.offset,
    )
    return OverviewInstancePage(
        total=sum(count for state, count in states.items() if wanted is None or state in wanted),
        page=operation.page,
        page_size=operation.page_size,
        states=states,
        instances=tuple(map(_shown, rows)),
    )


@handlers.handles(ReadOverview)
async def read_overview(context: OverviewContext, _operation: ReadOverview) -> Overview:
    account_id = context.account.id
    totals = await read_totals(context.database, account_id)
    where = {
        "account_id": account_id,
        "provider": None,
        "text": "",
        "digits": "",
        "quiet_days": None,
    }
    states = await _states(context.database, where)
    found = await context.problems.find(account_id)
    found = await _with_storage(context, found)
    return Overview(
        instances=InstanceCounts(
            total=sum(states.values()), connected=states.get(_CONNECTED, 0), states=states
        ),
        queue=totals.queue,
        callbacks=totals.of_callbacks,
        findings=tuple(found.findings),
        finding_counts=dict(found.counts),
    )


@handlers.handles(ReadRetention)
async def read_retention(context: OverviewContext, _operation: ReadRetention) -> RetentionRules:
    return context.retention


@handlers.handles(RotateInstanceToken)
async def rotate_token(context: OverviewContext, operation: RotateInstanceToken) -> RotatedToken:
    token = await context.registry.rotate_token(
        operation.instance_id, account_id=context.account.id
    )
    return RotatedToken(id=operation.instance_id, token=token)


async def read_totals(database: Database, account_id: str | None) -> Totals:
    """Returns the totals of one account, or of all without one."""
    totals = await database.fetch_one(Totals, _READ_TOTALS, account_id=account_id)
    assert totals is not None
    return totals


async def _with_storage(context: OverviewContext, found: FoundProblems) -> FoundProblems:
    stored = await context.allowance.read(context.account.id)
    limit = context.allowance.limit(stored)
    if not limit or stored.used < _NEARLY * limit:
        return found
    finding = finding_of(
        FindingKind.STORAGE_NEARLY_FULL,
        subject=f"{100 * stored.used // limit} %",
        account_id=context.account.id,
    )
    return found.with_further([finding])


async def _states(database: Database, where: Mapping[str, Any]) -> dict[str, int]:
    rows = await database.fetch_all(_OfState, _COUNT_INSTANCES, **where)
    return {row.state: row.count for row in rows}


def _states_of(state: str | None) -> list[str] | None:
    if state is None:
        return None
    if state == "down":
        return [each.value for each in ConnectionState if each is not ConnectionState.CONNECTED]
    return [state]


def _digits_of(text: str) -> str:
    """Returns the digits of a text that may be a part of a phone number, otherwise an empty one."""
    text = text.strip()
    return re.sub(r"\D", "", text) if _PHONE.fullmatch(text) else ""


_HELD_BY: Final[Mapping[str, Literal["daily_limit", "linking", "whatsapp"]]] = {
    "daily_limit": "daily_limit",
    "linking": "linking",
}


def _shown(row: _Instance) -> OverviewInstance:
    is_down = row.state != _CONNECTED
    held_by = _HELD_BY.get(row.hold_kind or "", "whatsapp")
    return OverviewInstance(
        id=row.id,
        name=row.name,
        provider=row.provider,
        phone=row.phone,
        created_at=row.created_at.astimezone(UTC),
        state=row.state,
        state_text=_sentence_of(row.state),
        reason=row.reason,
        down_since=utc(row.down_since) if is_down else None,
        waiting=row.waiting,
        failed=row.failed,
        last_message_at=utc(row.last_message_at),
        paused=row.paused,
        paused_since=utc(row.pause_changed_at) if row.paused else None,
        held_until=utc(row.hold_until),
        held_by=held_by if row.hold_until else None,
    )


def _sentence_of(state: str) -> str:
    try:
        return ConnectionState(state).sentence
    except ValueError:  # a state of a later release
        return state
