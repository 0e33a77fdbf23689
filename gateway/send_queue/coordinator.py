"""Runs one worker for each connected session of this node, and replaces a worker that fails."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from gateway.errors import DatabaseUnavailable
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.send_queue.activity import WorkerActivity
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.worker import Worker, WorkerDependencies
from gateway.sessions.live import ConnectedSessions, LiveSession
from gateway.wakeups import waking

_RESTART_SECONDS = 1.0


@dataclass(slots=True)
class _Slot:
    """The worker of one instance: what it does, what wakes it, what stops it, its session."""

    activity: WorkerActivity
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    live: LiveSession | None = None
    task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Makes the worker stop after the message at hand."""
        self.leaving.set()
        self.wakeup.set()


class Coordinator:
    """Starts and stops workers as sessions connect, disconnect or are replaced."""

    def __init__(
        self,
        connected: ConnectedSessions,
        deps: WorkerDependencies,
        rescue: Rescue,
        *,
        wake_schedule: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepares the workers.

        Args:
            connected: the sessions of this node that may send.
            deps: of each worker.
            rescue: decides about messages that an earlier worker left in flight.
            wake_schedule: is called when a worker begins; its queue may hold scheduled messages.
        """
        self._connected, self._deps, self._rescue = connected, deps, rescue
        self._wake_schedule = wake_schedule
        self._slots: dict[str, _Slot] = {}
        self._changes = connected.watch()

    def wake(self, instance_ids: Collection[str]) -> None:
        """Wakes the workers of these instances: their queues may have a message."""
        for instance_id in instance_ids:
            if slot := self._slots.get(instance_id):
                slot.wakeup.set()

    def activity(self, instance_id: str) -> WorkerActivity | None:
        """Returns what the worker of an instance does; None if the instance has no worker."""
        slot = self._slots.get(instance_id)
        return slot.activity if slot else None

    def restart(self, instance_id: str, *, cancel: bool = False) -> None:
        """Replaces the worker of an instance; a message left in flight is rescued first.

        The worker leaves after the message at hand. With *cancel*, or if it was asked before, its
        task is canceled.
        """
        slot = self._slots.get(instance_id)
        if slot is None:
            self._changes.add(instance_id)
        elif slot.task and (cancel or slot.leaving.is_set()):
            slot.task.cancel()
        else:
            slot.stop()

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Runs until *stopping*, then waits for the workers to finish their messages.

        Not a PeriodicLoop: it reacts to changes in memory and calls nothing that could fail.
        """
        changed = self._changes.wakeup
        async with asyncio.TaskGroup() as workers, waking(changed, when=stopping):
            while not stopping.is_set():
                await changed.wait()
                for instance_id in self._changes.take():
                    self._on_session_change(instance_id, workers, stopping)
            for slot in self._slots.values():
                slot.stop()

    def _on_session_change(
        self, instance_id: str, workers: asyncio.TaskGroup, stopping: asyncio.Event
    ) -> None:
        """Starts a worker for a new session; stops the worker of a session that is gone."""
        live = self._connected.get(instance_id)
        if slot := self._slots.get(instance_id):
            if slot.live is not live:
                slot.stop()
        elif live and not stopping.is_set():
            self._slots[instance_id] = slot = _Slot(WorkerActivity(self._deps.clock))
            slot.task = workers.create_task(
                self._run_workers(instance_id, slot, stopping), name=f"worker {instance_id}"
            )
            slot.task.add_done_callback(lambda _task: self._on_worker_end(instance_id, slot))

    def _on_worker_end(self, instance_id: str, slot: _Slot) -> None:
        """Starts a worker again if its task was canceled; a task that ends removes its slot."""
        if self._slots.get(instance_id) is slot:
            del self._slots[instance_id]
            self._changes.add(instance_id)

    async def _run_workers(self, instance_id: str, slot: _Slot, stopping: asyncio.Event) -> None:
        """Runs one worker after another until the instance has no session on this node.

        Not a PeriodicLoop: `stop` must end the worker of one session, and *stopping* all of them.
        """
        while not stopping.is_set() and (live := self._connected.get(instance_id)):
            slot.leaving.clear()
            slot.live = live
            self._wake_schedule()
            try:
                with live.in_use():
                    await self._rescue.process(live)
                    worker = Worker(live, self._deps, slot.wakeup, slot.activity)
                    await worker.run_until(slot.leaving)
            except DatabaseUnavailable as error:
                logger.warning(
                    "database_unavailable",
                    component="worker",
                    instance_id=instance_id,
                    error=str(error),
                )
                await self._deps.clock.wait(slot.leaving, _RESTART_SECONDS)
            except Exception as error:  # noqa: BLE001 - one queue must not stop the others
                report_error(error, component="worker", instance_id=instance_id)
                await self._deps.clock.wait(slot.leaving, _RESTART_SECONDS)
        del self._slots[instance_id]
