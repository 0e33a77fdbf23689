"""Maintenance tasks: each runs on one node at a time, the first node that finds it due."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.administration.connection_sealing import ConnectionSealing
from gateway.administration.erasure import Erasure
from gateway.administration.person_search import PersonSearch
from gateway.administration.provider_data import ProviderData
from gateway.administration.resealing import Resealing
from gateway.administration.traffic_recorder import (
    TrafficRecorder,
    TrafficRetention,
    WaitingSampler,
)
from gateway.clock import Clock
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.history.partitions import HistoryPartitions
from gateway.periodic_loop import PeriodicLoop
from gateway.providers.loading import load_providers
from gateway.runtime.node_context import NodeContext
from gateway.runtime.provider_selection import secret_settings_of
from gateway.runtime.supervisor import Stage
from gateway.send_queue.maintenance import QueueMaintenance
from gateway.sessions.connection_callbacks import ConnectionCallbacks
from gateway.settings import Settings
from gateway.webhooks.notifier import CallbackNotifier
from gateway.webhooks.outbox import Outbox
from gateway.webhooks.retention import Retention

_TAKE = query("chores", "take")

_EXPIRE_EVERY_SECONDS = 15.0
_RESEAL_EVERY_SECONDS = 10.0
_SEAL_EVERY_SECONDS = 60.0
_SEARCH_EVERY_SECONDS = 5.0
_RECEIPTS_EVERY_SECONDS = 30.0
_SAMPLE_EVERY_SECONDS = 60.0
_DELETE_CALLBACKS_EVERY_SECONDS = 300.0
_DELETE_MESSAGES_EVERY_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class MaintenanceTask:
    """Work that a crash may interrupt anywhere, and that may run twice."""

    name: str
    every_seconds: float
    work: Callable[[], Awaitable[None]]


class Housekeeping:
    """Runs every task in its own PeriodicLoop; one task of this node works at a time.

    A task whose name a node takes is due again on all nodes after its interval, also where the work
    failed. A node that lost its connection meanwhile does the work again at once.
    """

    def __init__(
        self, database: Database, clock: Clock, tasks: Sequence[MaintenanceTask], *, node_id: str
    ) -> None:
        self._database, self._node_id = database, node_id
        self._turn = asyncio.Lock()  # tasks of one node use one connection of the pool
        self._loops = [
            PeriodicLoop(f"maintenance: {task.name}", self._step_of(task), clock) for task in tasks
        ]

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run_until(stopping))

    def _step_of(self, task: MaintenanceTask) -> Callable[[], Awaitable[float]]:
        repeated = False

        async def take_and_work() -> None:
            if await self._database.execute(
                _TAKE,
                name=task.name,
                node_id=self._node_id,
                seconds=task.every_seconds,
                repeated=repeated,
            ):
                await task.work()

        async def step() -> float:
            nonlocal repeated
            async with self._turn:
                try:
                    await take_and_work()
                except DatabaseUnavailable:
                    repeated = True
                    raise
                repeated = False
            return task.every_seconds

        return step


def start_housekeeping(node: NodeContext, settings: Settings, notifier: CallbackNotifier) -> None:
    """Starts the maintenance of queue, history and callbacks where this node sends.

    The sums of traffic are written on every node, because every node counts.
    """
    queue, webhooks = settings.queue, settings.webhooks
    database, clock = node.database, node.clock
    pruning = database.within(DatabaseDeadline.PRUNING)
    maintenance = QueueMaintenance(
        pruning,
        clock,
        uuid.uuid4,
        failed_days=queue.failed_days,
        notifier=notifier,
        traffic=node.traffic,
    )
    partitions = HistoryPartitions(pruning, clock, retention_days=queue.history_days)
    retention = Retention(
        pruning, history_days=webhooks.history_days, dead_letter_days=webhooks.dead_letter_days
    )
    resealing = Resealing(
        database, node.sealing.seal, clock, default=settings.storage.payload_encryption
    )
    erasure = Erasure(database, ProviderData(database, load_providers))
    searches = PersonSearch(database, node.sealing.seal, clock, erasure)
    connections = ConnectionSealing(database, node.vault, secret_settings_of)
    outbox = Outbox(database, uuid.uuid4, notifier)
    receipts = ConnectionCallbacks(database, outbox, clock)
    tasks = (
        MaintenanceTask("expire messages", _EXPIRE_EVERY_SECONDS, maintenance.expire),
        MaintenanceTask(
            "delete expired rows of the queue",
            _DELETE_MESSAGES_EVERY_SECONDS,
            maintenance.delete_expired,
        ),
        MaintenanceTask(
            "delete expired callbacks", _DELETE_CALLBACKS_EVERY_SECONDS, retention.delete_expired
        ),
        MaintenanceTask("erased people", _SEARCH_EVERY_SECONDS, searches.run),
        MaintenanceTask("missing receipts", _RECEIPTS_EVERY_SECONDS, receipts.missing_receipts),
        MaintenanceTask("settings of connections", _SEAL_EVERY_SECONDS, connections.run),
        MaintenanceTask("encryption of content", _RESEAL_EVERY_SECONDS, resealing.run),
        MaintenanceTask(
            "sample waiting messages",
            _SAMPLE_EVERY_SECONDS,
            WaitingSampler(database.within(DatabaseDeadline.GAUGES), node.traffic).sample,
        ),
        MaintenanceTask(
            "delete expired traffic",
            _DELETE_MESSAGES_EVERY_SECONDS,
            TrafficRetention(pruning, settings.observability.traffic_days).delete_expired,
        ),
        MaintenanceTask("history partitions", _DELETE_MESSAGES_EVERY_SECONDS, partitions.maintain),
    )
    housekeeping = Housekeeping(database.planned_once(), clock, tasks, node_id=node.node_id)
    node.start(Stage.BATCHES, traffic=TrafficRecorder(database, clock, node.traffic))
    node.start_if_sending(Stage.SENDERS, housekeeping=housekeeping)
