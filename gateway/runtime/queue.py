"""Builds the send queue: enqueueing, workers, schedule and rescue."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from gateway.contract.zapi.messages.text import SendText
from gateway.history.store import History
from gateway.instances.feature_settings import FeatureSettings
from gateway.instances.store import Instance
from gateway.randomness import RandomBuffer, uuids_from
from gateway.runtime.node_context import NodeContext
from gateway.runtime.sessions import Sessions
from gateway.runtime.supervisor import Stage
from gateway.send_queue.activity import WorkerActivity
from gateway.send_queue.addressing import NumberDirectory
from gateway.send_queue.attempts import UncalledAttempts
from gateway.send_queue.claim import Claimer
from gateway.send_queue.completion import CompletionWaiters
from gateway.send_queue.coordinator import Coordinator
from gateway.send_queue.enqueue import Enqueuer, QueueLimits
from gateway.send_queue.file_fetches import FileFetches
from gateway.send_queue.outcome import RetryPolicy
from gateway.send_queue.pacing import Backoff, Pace, SendPolicy
from gateway.send_queue.recorder import OutcomeRecorder
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.schedule import Schedule
from gateway.send_queue.start import Starter
from gateway.send_queue.unknown_messages import UnknownMessages
from gateway.send_queue.watchdog import QueueWatchdog
from gateway.send_queue.worker import WorkerDependencies
from gateway.sessions.auto_actions import AutoActions
from gateway.settings.queue_section import QueueSection
from gateway.webhooks.notifier import CallbackNotifier

_CLAIM_INTERVAL_SECONDS, _START_INTERVAL_SECONDS = 0.1, 0.05
"""Between two claims, and two starts, of a node: at 66 messages per second five share one."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The objects of the queue that edges and executors need."""

    enqueuer: Enqueuer
    claimer: Claimer
    completion_waiters: CompletionWaiters
    history: History
    send_policy: SendPolicy
    watchdog: QueueWatchdog
    activity_of: Callable[[str], WorkerActivity | None]
    """What the worker of an instance does; None if this node has none."""


def features_of(queue: QueueSection) -> FeatureSettings:
    """Returns what the operator sets for accounts and instances that set nothing."""
    return FeatureSettings(queue.number_lookup, queue.messages_per_minute)


def build_queue(
    node: NodeContext, queue: QueueSection, sessions: Sessions, notifier: CallbackNotifier
) -> Queue:
    database, clock = node.database, node.clock
    planned_once = database.planned_once()
    history, completion_waiters = History(database), CompletionWaiters(planned_once, clock)
    policy = RetryPolicy(Backoff(queue.retry_base_seconds, queue.retry_cap_seconds), node.uniform)
    send_policy = SendPolicy(
        Pace(queue.pace_min_seconds, queue.pace_max_seconds),
        daily_limit=queue.daily_limit,
        features=features_of(queue),
        order=queue.order,
        unknown_quote=queue.unknown_quote,
        warm_up_days=queue.warm_up_days,
    )
    notifier.subscribe(completion_waiters.wake)
    new_uuid = uuids_from(RandomBuffer(os.urandom))

    def wake_schedule() -> None:  # which is made after those who call this
        schedule.wake()

    claimer = Claimer(
        planned_once,
        new_uuid,
        order=queue.order,
        interval_seconds=_CLAIM_INTERVAL_SECONDS,
        wake_schedule=wake_schedule,
    )
    starter = Starter(planned_once, interval_seconds=_START_INTERVAL_SECONDS)
    fetches = FileFetches(
        planned_once, node.media.preparer, clock, order=queue.order, turns=node.turns
    )
    recorder = OutcomeRecorder(
        planned_once,
        clock,
        new_uuid,
        notifier,
        order=queue.order,
        traffic=node.traffic,
        wake_schedule=wake_schedule,
    )
    uncalled = UncalledAttempts()
    numbers = NumberDirectory(planned_once, clock, features=send_policy.features)
    rescue = Rescue(database, recorder, policy, uncalled)
    coordinator = Coordinator(
        sessions.keeper.connected,
        WorkerDependencies(
            metrics=node.metrics,
            claimer=claimer,
            starter=starter,
            recorder=recorder,
            history=history,
            fetches=fetches,
            file_links=node.media.file_links,
            clock=clock,
            uniform=node.uniform,
            retry_policy=policy,
            send_policy=send_policy,
            numbers=numbers,
            send_timeout_seconds=queue.send_timeout_seconds,
            unknown=UnknownMessages(database, queue.unknown_quote),
            uncalled=uncalled,
            turns=node.turns,
        ),
        rescue,
        wake_schedule=wake_schedule,
    )
    watchdog = QueueWatchdog(
        database.planned_either_way(),
        clock,
        node.metrics,
        node_id=node.node_id,
        connected=sessions.keeper.connected,
        workers=coordinator,
        revive=sessions.keeper.revive,
        stalled_seconds=queue.stalled_seconds,
    )
    schedule = Schedule(planned_once, clock, node_id=node.node_id, wake=coordinator.wake)

    def wake(instance_ids: Collection[str]) -> None:
        coordinator.wake(instance_ids)
        wake_schedule()

    node.notifications.subscribe(f"node:{node.node_id}", lambda ids: wake(ids.split(",")))
    enqueuer = Enqueuer(
        planned_once,
        node_id=node.node_id,
        limits=QueueLimits(
            queue.max_waiting,
            queue.max_waiting_disconnected,
            queue.max_attempts,
            queue.max_age_seconds or None,
        ),
        clock=clock,
        random_bytes=RandomBuffer(os.urandom),
        wake=coordinator.wake,
        wake_schedule=wake_schedule,
        traffic=node.traffic,
        is_shared=node.turns.is_shared,
    )
    auto_actions = AutoActions(sessions.router, database, partial(_enqueue_text, enqueuer), clock)
    sessions.subscribers.subscribe(auto_actions.on_event)
    node.start(
        Stage.BATCHES,
        enqueue=enqueuer,
        claim=claimer,
        start=starter,
        fetches=fetches,
        record=recorder,
        rescue=rescue,
        numbers=numbers,
    )
    node.start_if_sending(
        Stage.SENDERS,
        workers=coordinator,
        schedule=schedule,
        watchdog=watchdog,
        auto_actions=auto_actions,
    )
    node.start(Stage.EDGES, completion_waiters=completion_waiters)
    return Queue(
        enqueuer,
        claimer,
        completion_waiters,
        history,
        send_policy,
        watchdog,
        coordinator.activity,
    )


async def _enqueue_text(enqueuer: Enqueuer, instance: Instance, phone: str, text: str) -> None:
    await enqueuer.enqueue(instance, SendText(phone=phone, message=text))
