"""The instances and queues of an account in figures, for the routes by instance name."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.contract.extensions.named.figures import (
    NamedHealth,
    NamedMetrics,
    QueueOfInstance,
    ReadNamedHealth,
    ReadNamedMetrics,
)
from gateway.contract.handlers import Handlers
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.instances.accounts import Account
from gateway.instances.named import id_of_named

_COUNT_QUEUES = query("instances", "count_queues")
_COUNT_CONNECTED = query("instances", "count_connected")
_MAX_LISTED = 1_000
_FAILED = "failed"


@dataclass(frozen=True, slots=True)
class QueueCountContext:
    """What the handlers need."""

    database: Database
    account: Account


@dataclass(frozen=True, slots=True)
class _Queue:
    instance_id: str
    instance_name: str
    paused: bool
    connected: bool
    by_status: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Connected:
    instances: int
    connected: int


handlers = Handlers[QueueCountContext]()


@handlers.handles(ReadNamedHealth)
async def read_health(context: QueueCountContext, _operation: ReadNamedHealth) -> NamedHealth:
    found = await context.database.fetch_one(
        _Connected, _COUNT_CONNECTED, account_id=context.account.id
    )
    assert found is not None
    return NamedHealth(instances=found.instances, connected=found.connected)


@handlers.handles(ReadNamedMetrics)
async def read_metrics(context: QueueCountContext, operation: ReadNamedMetrics) -> NamedMetrics:
    database, account_id = context.database, context.account.id
    given = operation.given_instance()
    instance_id = given and await id_of_named(database, account_id, given[1], field=given[0])
    rows = await database.fetch_all(
        _Queue, _COUNT_QUEUES, account_id=account_id, instance_id=instance_id
    )
    totals = Counter[str]()
    for row in rows:
        totals.update(row.by_status)
    queues = sorted(map(_shown, rows), key=lambda queue: -queue.waiting)
    return NamedMetrics(
        instances=len(rows),
        connected=sum(row.connected for row in rows),
        waiting=_waiting(totals),
        by_status=dict(sorted(totals.items())),
        queues=tuple(queues[:_MAX_LISTED]),
    )


def _shown(row: _Queue) -> QueueOfInstance:
    return QueueOfInstance(
        instance_id=row.instance_id,
        instance_name=row.instance_name,
        connected=row.connected,
        paused=row.paused,
        waiting=_waiting(row.by_status),
        by_status=dict(sorted(row.by_status.items())),
    )


def _waiting(by_status: Mapping[str, int]) -> int:
    return sum(count for status, count in by_status.items() if status != _FAILED)
