"""Builds the lines of all instances, from the door to the worker."""

import os
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from gateway.contract.zapi.messages.text import SendText
from gateway.history.partitions import HistoryPartitions
from gateway.history.store import History
from gateway.instances.store import Instance
from gateway.randomness import RandomBuffer, uuids_from
from gateway.runtime.housekeeping import Housekeeping, MaintenanceTask
from gateway.runtime.kafka import consumer_of
from gateway.runtime.node_context import NodeContext
from gateway.runtime.sessions import Sessions
from gateway.runtime.supervisor import Stage
from gateway.send_queue.claim import Claimer
from gateway.send_queue.completion import CompletionWaiters
from gateway.send_queue.coordinator import Coordinator
from gateway.send_queue.enqueue import Enqueuer, QueueLimits
from gateway.send_queue.maintenance import QueueMaintenance
from gateway.send_queue.outcome import RetryPolicy
from gateway.send_queue.pacing import Backoff, Pace, SendPolicy
from gateway.send_queue.recorder import OutcomeRecorder
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.schedule import Schedule
from gateway.send_queue.start import Starter
from gateway.send_queue.worker import WorkerDependencies
from gateway.sessions.auto_actions import AutoActions
from gateway.webhooks.notifier import CallbackNotifier
from gateway.webhooks.retention import Retention

_EXPIRE_EVERY_SECONDS = 15.0
_FORGET_EVERY_SECONDS = 300.0
_TIDY_EVERY_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Queue:
    """What the edges need of it."""

    enqueuer: Enqueuer
    claimer: Claimer
    followers: CompletionWaiters
    history: History
    send_policy: SendPolicy


def build_queue(node: NodeContext, sessions: Sessions, notifier: CallbackNotifier) -> Queue:
    settings, database, clock = node.settings, node.database, node.clock
    history, followers = History(database), CompletionWaiters(database, clock)
    policy = RetryPolicy(
        Backoff(settings.retry_base_seconds, settings.retry_cap_seconds), node.uniform
    )
    send_policy = SendPolicy(
        Pace(settings.pace_min_seconds, settings.pace_max_seconds),
        daily_limit=settings.daily_limit,
        warm_up_days=settings.warm_up_days,
    )
    notifier.subscribe(followers.wake)
    new_uuid = uuids_from(RandomBuffer(os.urandom))
    claimer, starter = Claimer(database, new_uuid), Starter(database)
    recorder = OutcomeRecorder(database, clock, new_uuid, notifier)
    rescue = Rescue(database, recorder, policy)
    coordinator = Coordinator(
        sessions.keeper.connected,
        WorkerDependencies(
            metrics=node.metrics,
            claimer=claimer,
            starter=starter,
            recorder=recorder,
            history=history,
            preparer=node.media.preparer,
            clock=clock,
            uniform=node.uniform,
            retry_policy=policy,
            send_policy=send_policy,
            send_timeout_seconds=settings.send_timeout_seconds,
        ),
        rescue,
    )
    schedule = Schedule(database, clock, node_id=node.node_id, wake=coordinator.wake)

    def wake(instance_ids: Collection[str]) -> None:
        coordinator.wake(instance_ids)
        schedule.wake()

    node.notifications.subscribe(f"node:{node.node_id}", lambda ids: wake(ids.split(",")))
    enqueuer = Enqueuer(
        database,
        node_id=node.node_id,
        limits=QueueLimits(
            settings.queue_max_waiting,
            settings.queue_max_waiting_disconnected,
            settings.max_attempts,
            settings.queue_max_age or None,
        ),
        clock=clock,
        random_bytes=RandomBuffer(os.urandom),
        wake=wake,
    )
    auto_actions = AutoActions(sessions.router, database, partial(_write, enqueuer), clock)
    sessions.subscribers.subscribe(auto_actions.on_event)
    node.start(
        Stage.BATCHES,
        enqueue=enqueuer,
        claim=claimer,
        start=starter,
        record=recorder,
        rescue=rescue,
    )
    node.start_if_sending(
        Stage.SENDERS,
        workers=coordinator,
        schedule=schedule,
        auto_actions=auto_actions,
        housekeeping=_housekeeping(node, notifier),
        kafka_in=consumer_of(
            settings,
            database,
            clock,
            instances=node.instances,
            enqueuer=enqueuer,
            intake=node.media.intake,
            metrics=node.metrics,
        ),
    )
    node.start(Stage.EDGES, followers=followers)
    return Queue(enqueuer, claimer, followers, history, send_policy)


async def _write(enqueuer: Enqueuer, instance: Instance, phone: str, text: str) -> None:
    await enqueuer.enqueue(instance, SendText(phone=phone, message=text))


def _housekeeping(node: NodeContext, notifier: CallbackNotifier) -> Housekeeping:
    settings, database, clock = node.settings, node.database, node.clock
    maintenance = QueueMaintenance(
        database, clock, uuid.uuid4, failed_days=settings.failed_days, notifier=notifier
    )
    months = HistoryPartitions(database, retention_days=settings.history_days)
    retention = Retention(
        database,
        history_days=settings.webhook_history_days,
        dead_letter_days=settings.dead_letter_days,
    )
    tasks = (
        MaintenanceTask("expire messages", _EXPIRE_EVERY_SECONDS, maintenance.expire),
        MaintenanceTask("forget the queue's past", _TIDY_EVERY_SECONDS, maintenance.delete_expired),
        MaintenanceTask("forget what was told", _FORGET_EVERY_SECONDS, retention.delete_expired),
        MaintenanceTask("months of history", _TIDY_EVERY_SECONDS, months.maintain),
    )
    return Housekeeping(database, clock, tasks, node_id=node.node_id)
