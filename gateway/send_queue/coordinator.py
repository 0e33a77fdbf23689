"""Exactly one worker for each connected session; restarts the one that fails, alone."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from gateway.errors import DatabaseUnavailable
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.send_queue.rescue import Rescue
from gateway.send_queue.worker import Worker, WorkerDependencies
from gateway.sessions.live import ConnectedSessions, LiveSession
from gateway.wakeups import waking

_PAUSE_AFTER_A_CRASH_SECONDS = 1.0


@dataclass(slots=True)
class _Post:
    """Where the worker of one instance works."""

    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    live: LiveSession | None = None

    def leave(self) -> None:
        self.leaving.set()
        self.wakeup.set()


class Coordinator:
    """Part of the service."""

    def __init__(
        self, connected: ConnectedSessions, deps: WorkerDependencies, rescue: Rescue
    ) -> None:
        self._connected, self._deps, self._rescue = connected, deps, rescue
        self._posts: dict[str, _Post] = {}

    def wake(self, instance_ids: Collection[str]) -> None:
        """There may be something to claim in these lines."""
        for instance_id in instance_ids:
            if post := self._posts.get(instance_id):
                post.wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        changes = self._connected.watch()
        async with asyncio.TaskGroup() as workers, waking(changes.wakeup, when=stopping):
            while not stopping.is_set():
                await changes.wakeup.wait()
                for instance_id in changes.take():
                    self._follow(instance_id, workers, stopping)
            for post in self._posts.values():
                post.leave()

    def _follow(
        self, instance_id: str, workers: asyncio.TaskGroup, stopping: asyncio.Event
    ) -> None:
        """The session of this instance came, went, or was replaced."""
        live = self._connected.get(instance_id)
        if post := self._posts.get(instance_id):
            if post.live is not live:
                post.leave()
        elif live and not stopping.is_set():
            self._posts[instance_id] = post = _Post()
            workers.create_task(
                self._man(instance_id, post, stopping), name=f"worker {instance_id}"
            )

    async def _man(self, instance_id: str, post: _Post, stopping: asyncio.Event) -> None:
        """Keeps a worker at the post for as long as there is a session to send with."""
        while not stopping.is_set() and (live := self._connected.get(instance_id)):
            post.leaving.clear()
            post.live = live
            try:
                with live.in_use():
                    await self._rescue.process(live)
                    await Worker(live, self._deps, post.wakeup).run_until(post.leaving)
            except DatabaseUnavailable as error:
                logger.warning(
                    "database_unavailable",
                    component="worker",
                    instance_id=instance_id,
                    error=str(error),
                )
                await self._deps.clock.wait(post.leaving, _PAUSE_AFTER_A_CRASH_SECONDS)
            except Exception as error:  # noqa: BLE001 - one line must not take the others down
                report_error(error, component="worker", instance_id=instance_id)
                await self._deps.clock.wait(post.leaving, _PAUSE_AFTER_A_CRASH_SECONDS)
        del self._posts[instance_id]
