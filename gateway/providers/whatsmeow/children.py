"""The child processes of an engine: which instances share one, and when each ends."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.providers.whatsmeow.process import Child, OnEvent
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import VerbFailed

_CLOSING_SECONDS = 3.0
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


class Children:
    """The child processes of this engine, and the instances in each."""

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        *,
        instances_per_process: int,
        starts_at_once: int,
        inherited: tuple[int, ...] = (),
    ) -> None:
        self._environment, self._folder, self._inherited = environment, folder, inherited
        self._max_instances = instances_per_process
        self._instances: dict[Child, set[str]] = {}
        self._shared: dict[Child, bool] = {}
        """Processes that take further instances, and whether these have proxies of their own."""
        self._lives: set[asyncio.Future[None]] = set()
        self._starting = asyncio.Lock()
        self.turn_to_start = asyncio.Semaphore(starts_at_once)
        """Taken until a client is open, because loading the library occupies a processor."""

    @property
    def are_shared(self) -> bool:
        """Whether a process may have several instances."""
        return self._max_instances > 1

    async def place(
        self, instance_id: str, on_event: OnEvent, *, alone: bool, own_proxy: bool, deadline: float
    ) -> Child:
        """Returns a process for the instance, and subscribes *on_event* to its events.

        Args:
            instance_id: the instance.
            on_event: handles an event; the library waits for it.
            alone: for an instance that is not linked yet, whose session ends only with its process.
            own_proxy: such instances share no process with those that use the environment's proxy.
            deadline: of a process that is started.
        """
        async with self._starting:
            child = None if alone else self._find_shared(own_proxy=own_proxy)
            if child is None:
                child = await self._start(own_proxy=own_proxy, deadline=deadline)
                if not alone and self._max_instances > 1:
                    self._shared[child] = own_proxy
            self._instances[child].add(instance_id)
            child.subscribers[instance_id] = on_event
        return child

    async def leave(self, child: Child, instance_id: str, *, linked: bool) -> None:
        """Closes the instance's client, and ends the process with its last instance.

        It waits for the events that the library has decrypted: when WhatsApp repeats such an event
        to another process, the library drops it as a duplicate.
        """
        if linked and not child.gone.is_set():
            with contextlib.suppress(ChildGone, VerbFailed, TimeoutError):
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await child.call(instance_id, "close")
                    await child.events_handled()
        child.subscribers.pop(instance_id, None)
        others = self._instances.get(child, set())
        others.discard(instance_id)
        if others and not child.gone.is_set():
            return
        self._instances.pop(child, None)
        self._shared.pop(child, None)
        await child.end()

    def enforce_deadlines(self, deadline_of: Callable[[str], float], now: float) -> None:
        """Moves the deadline of every process, and kills those that act past it."""
        for child, instances in self._instances.items():
            if not instances:
                continue
            deadline = min(map(deadline_of, instances))
            child.enforce_deadline(deadline, now)

    async def end(self) -> None:
        """Ends every process, and drops events that still wait for the database."""
        for child in list(self._instances):
            await child.end()
        for life in self._lives:
            life.cancel()
        if self._lives:
            await asyncio.wait(self._lives)

    async def _start(self, *, own_proxy: bool, deadline: float) -> Child:
        environment = _without_proxies(self._environment) if own_proxy else self._environment
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        child = await Child.start(
            environment, self._folder, deadline=deadline, inherited=self._inherited
        )
        self._instances[child] = set()
        self._lives.add(child.life)
        child.life.add_done_callback(self._lives.discard)
        return child

    def _find_shared(self, *, own_proxy: bool) -> Child | None:
        return next(
            (
                child
                for child, has_own_proxies in self._shared.items()
                if has_own_proxies is own_proxy
                and len(self._instances[child]) < self._max_instances
                and not child.gone.is_set()
                and not child.suspended.is_set()
            ),
            None,
        )


def _without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Drops the environment's proxies, to which the library would go through an instance's own."""
    return {name: value for name, value in environment.items() if name.lower() not in _PROXIES}
