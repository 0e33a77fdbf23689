"""Builds the lines of all instances, from the door to the worker."""

import os
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from gateway.contract.messages.text import SendText
from gateway.history.months import Months
from gateway.history.store import History
from gateway.instances.store import Instance
from gateway.random import Stock, uuids_from
from gateway.runtime.ground import Ground, all_of
from gateway.runtime.housekeeping import Chore, Housekeeping
from gateway.runtime.kafka import consumer_of
from gateway.runtime.sessions import Sessions
from gateway.runtime.stages import Floor
from gateway.send_queue.claim import Claimer
from gateway.send_queue.coordinator import Coordinator
from gateway.send_queue.enqueue import Enqueuer, QueueLimits
from gateway.send_queue.following import Followers
from gateway.send_queue.outcome import Recorder, RetryPolicy
from gateway.send_queue.pacing import Backoff, Pace, Tempo
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.schedule import Schedule
from gateway.send_queue.start import Starter
from gateway.send_queue.upkeep import QueueUpkeep
from gateway.send_queue.worker import Desk
from gateway.sessions.habits import Habits
from gateway.webhooks.retention import Retention

_EXPIRE_EVERY_SECONDS = 15.0
_FORGET_EVERY_SECONDS = 300.0
_TIDY_EVERY_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Queue:
    """What the edges need of it."""

    enqueuer: Enqueuer
    claimer: Claimer
    followers: Followers
    history: History
    tempo: Tempo


def build_queue(ground: Ground, sessions: Sessions, told: Callable[[], None]) -> Queue:
    settings, database, clock = ground.settings, ground.database, ground.clock
    history, followers = History(database), Followers(database, clock)
    policy = RetryPolicy(
        Backoff(settings.retry_base_seconds, settings.retry_cap_seconds), ground.uniform
    )
    tempo = Tempo(
        Pace(settings.pace_min_seconds, settings.pace_max_seconds),
        daily_limit=settings.daily_limit,
        warm_up_days=settings.warm_up_days,
    )
    new_uuid = uuids_from(Stock(os.urandom))
    claimer, starter = Claimer(database, new_uuid), Starter(database)
    recorder = Recorder(database, clock, new_uuid, told=all_of(told, followers.look_again))
    rescue = Rescue(database, recorder, policy)
    coordinator = Coordinator(
        sessions.keeper.connected,
        Desk(
            metrics=ground.metrics,
            claimer=claimer,
            starter=starter,
            recorder=recorder,
            history=history,
            preparer=ground.media.preparer,
            clock=clock,
            uniform=ground.uniform,
            policy=policy,
            tempo=tempo,
            send_timeout_seconds=settings.send_timeout_seconds,
        ),
        rescue,
    )
    schedule = Schedule(database, clock, node_id=ground.node_id, wake=coordinator.wake)

    def wake(instance_ids: Collection[str]) -> None:
        coordinator.wake(instance_ids)
        schedule.look_again()

    ground.notifications.subscribe(f"node:{ground.node_id}", lambda ids: wake(ids.split(",")))
    enqueuer = Enqueuer(
        database,
        node_id=ground.node_id,
        limits=QueueLimits(
            settings.queue_max_waiting,
            settings.queue_max_waiting_disconnected,
            settings.max_attempts,
            settings.queue_max_age or None,
        ),
        clock=clock,
        random_bytes=Stock(os.urandom),
        wake=wake,
    )
    habits = Habits(sessions.asker, database, partial(_write, enqueuer))
    sessions.keeper.listeners.append(habits.hear)
    ground.start(
        Floor.BATCHES,
        enqueue=enqueuer,
        claim=claimer,
        start=starter,
        record=recorder,
        rescue=rescue,
    )
    ground.start_if_sending(
        Floor.SENDERS,
        workers=coordinator,
        schedule=schedule,
        habits=habits,
        housekeeping=_housekeeping(ground, told),
        kafka_in=consumer_of(
            settings,
            database,
            clock,
            instances=ground.instances,
            enqueuer=enqueuer,
            intake=ground.media.intake,
            metrics=ground.metrics,
        ),
    )
    ground.start(Floor.EDGES, followers=followers)
    return Queue(enqueuer, claimer, followers, history, tempo)


async def _write(enqueuer: Enqueuer, instance: Instance, phone: str, text: str) -> None:
    await enqueuer.enqueue(instance, SendText(phone=phone, message=text))


def _housekeeping(ground: Ground, told: Callable[[], None]) -> Housekeeping:
    settings, database, clock = ground.settings, ground.database, ground.clock
    upkeep = QueueUpkeep(database, clock, uuid.uuid4, failed_days=settings.failed_days, told=told)
    months = Months(database, keep_days=settings.history_days)
    retention = Retention(
        database,
        history_days=settings.webhook_history_days,
        dead_letter_days=settings.dead_letter_days,
    )
    chores = (
        Chore("expire messages", _EXPIRE_EVERY_SECONDS, upkeep.expire),
        Chore("forget the queue's past", _TIDY_EVERY_SECONDS, upkeep.forget),
        Chore("forget what was told", _FORGET_EVERY_SECONDS, retention.forget),
        Chore("months of history", _TIDY_EVERY_SECONDS, months.keep),
    )
    return Housekeeping(database, clock, chores, node_id=ground.node_id)
