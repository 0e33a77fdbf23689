"""Reads the traffic of an account as a series; a step without activity has zeros."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.clock import Clock
from gateway.contract.extensions.traffic import (
    MAX_POINTS,
    STEP_UNIT_SECONDS,
    ReadTraffic,
    Traffic,
    TrafficPoint,
)
from gateway.contract.handlers import Handlers
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import InvalidRequest, UnknownInstance
from gateway.instances.accounts import Account
from gateway.instances.store import Instances
from gateway.observability.traffic import LATENCY_BOUNDS_SECONDS

_READ_SERIES = query("traffic", "read_series")
_READ_FAILURES = query("traffic", "read_failures")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEFAULT_SPAN = timedelta(days=1)
_MAX_DEFAULT_POINTS = 300
_DAY_SECONDS = 86_400
_STEPS_SECONDS: Final = (STEP_UNIT_SECONDS, 900, 3_600, 10_800, 21_600, _DAY_SECONDS)
_NO_LATENCY: Final = (0,) * (len(LATENCY_BOUNDS_SECONDS) + 1)


@dataclass(frozen=True, slots=True)
class TrafficContext:
    """What the handler needs."""

    database: Database
    instances: Instances
    clock: Clock
    account: Account


@dataclass(frozen=True, slots=True)
class _Sums:
    at: datetime
    accepted: int = 0
    sent: int = 0
    received: int = 0
    callbacks_delivered: int = 0
    callbacks_failed: int = 0
    latency_ms: int = 0
    latency_counts: tuple[int, ...] = _NO_LATENCY
    waiting: int = 0
    callbacks_timed: int = 0
    callback_lag_ms: int = 0
    callback_lag_max_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Failures:
    at: datetime
    error_class: str
    count: int


handlers = Handlers[TrafficContext]()


@handlers.handles(ReadTraffic)
async def read_traffic(context: TrafficContext, operation: ReadTraffic) -> Traffic:
    await _require_own(context, operation.instance_id)
    until = operation.until or context.clock.now()
    since = operation.since or until - _DEFAULT_SPAN
    if since >= until:
        raise InvalidRequest("from: must be before `to`")
    step_seconds = operation.step or _default_step(since, until)
    starts = _starts(since, until, step_seconds)
    asked = {
        "account_id": context.account.id,
        "instance_id": operation.instance_id,
        "step_seconds": step_seconds,
        "from": starts[0],
        "to": until,
    }
    sums = await context.database.fetch_all(_Sums, _READ_SERIES, **asked)
    failures = await context.database.fetch_all(_Failures, _READ_FAILURES, **asked)
    by_start = {each.at: each for each in sums}
    failed: dict[datetime, dict[str, int]] = {}
    for row in failures:
        failed.setdefault(row.at, {})[row.error_class] = row.count
    return Traffic(
        since=starts[0],
        until=until,
        step_seconds=step_seconds,
        instance_id=operation.instance_id,
        latency_bounds_seconds=LATENCY_BOUNDS_SECONDS,
        points=tuple(
            _point(by_start.get(at) or _Sums(at), at, failed.get(at, {})) for at in starts
        ),
    )


async def _require_own(context: TrafficContext, instance_id: str | None) -> None:
    if instance_id is None:
        return
    found = await context.instances.find(instance_id)
    if found is None or found.account_id != context.account.id:
        raise UnknownInstance


def _default_step(since: datetime, until: datetime) -> int:
    """Returns the shortest usual step with few points, in seconds; else a number of days."""
    seconds = (until - since).total_seconds()
    for step in _STEPS_SECONDS:
        if seconds <= step * (_MAX_DEFAULT_POINTS - 1):  # one more where the first is cut
            return step
    return _DAY_SECONDS * (1 + int(seconds // (_DAY_SECONDS * (_MAX_DEFAULT_POINTS - 1))))


def _starts(since: datetime, until: datetime, step_seconds: int) -> list[datetime]:
    """Returns the beginnings of the steps, which are multiples of the step since 1970.

    Raises:
        InvalidRequest: they are too many.
    """
    step = timedelta(seconds=step_seconds)
    first = _EPOCH + (since - _EPOCH) // step * step
    count = -((first - until) // step)
    if count > MAX_POINTS:
        raise InvalidRequest(
            f"step: makes {count} points of this time; at most {MAX_POINTS} are answered"
        )
    return [first + n * step for n in range(count)]


def _point(sums: _Sums, at: datetime, failures: Mapping[str, int]) -> TrafficPoint:
    return TrafficPoint(
        at=at,
        accepted=sums.accepted,
        sent=sums.sent,
        failed=sum(failures.values()),
        failures=dict(sorted(failures.items())),
        received=sums.received,
        callbacks_delivered=sums.callbacks_delivered,
        callbacks_failed=sums.callbacks_failed,
        latency_ms=sums.latency_ms,
        latency_counts=sums.latency_counts,
        waiting=sums.waiting,
        callbacks_timed=sums.callbacks_timed,
        callback_lag_ms=sums.callback_lag_ms,
        callback_lag_max_ms=sums.callback_lag_max_ms,
    )
