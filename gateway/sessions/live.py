"""The sessions that may send now, and who hears of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.instances.store import Instance
from gateway.sessions.leases import Leases
from gateway.sessions.provider import Session


@dataclass(slots=True, eq=False)
class LiveSession:
    """A session that may send, from when it connects until it disconnects."""

    instance: Instance
    epoch: int
    session: Session
    can_repeat_send: bool
    leases: Leases
    clock: Clock
    closed: bool = False
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.unused.set()

    def may_act(self) -> bool:
        """Whether the lease is certainly still ours."""
        return not self.closed and self.clock.monotonic_seconds() < self.leases.may_act_until

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While a worker sends through it, the session is not given away."""
        self.unused.clear()
        try:
            yield
        finally:
            self.unused.set()


@dataclass(slots=True)
class Changes:
    """Instances whose session came or went since the last look."""

    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: set[str] = field(default_factory=set)

    def add(self, instance_id: str) -> None:
        self._changed.add(instance_id)
        self.wakeup.set()

    def take(self) -> set[str]:
        changed, self._changed = self._changed, set()
        self.wakeup.clear()
        return changed


class Connected:
    """The sessions that may send, by instance."""

    def __init__(self) -> None:
        self._lives: dict[str, LiveSession] = {}
        self._watchers: list[Changes] = []

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._lives

    def get(self, instance_id: str) -> LiveSession | None:
        return self._lives.get(instance_id)

    def watch(self) -> Changes:
        """Tells of every session, those already connected included."""
        changes = Changes()
        self._watchers.append(changes)
        for instance_id in self._lives:
            changes.add(instance_id)
        return changes

    def add(self, live: LiveSession) -> None:
        if self._lives.get(live.instance.id) is not live:
            self._lives[live.instance.id] = live
            self._tell(live.instance.id)

    def remove(self, instance_id: str) -> None:
        if self._lives.pop(instance_id, None):
            self._tell(instance_id)

    def _tell(self, instance_id: str) -> None:
        for changes in self._watchers:
            changes.add(instance_id)
