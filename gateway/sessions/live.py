"""The open sessions of this node, and those of them that may send now."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.instances.store import Instance
from gateway.sessions.connection import ConnectionState
from gateway.sessions.health import EventCounter
from gateway.sessions.leases import Leases
from gateway.sessions.provider import Session


@dataclass(slots=True, eq=False)
class LiveSession:
    """A session from when it is open until it is closed, with the lease it runs under."""

    instance: Instance
    epoch: int
    session: Session
    can_repeat_send: bool
    leases: Leases
    clock: Clock
    connection_id: str | None = None
    """The connection that the session is of; each attempt names it."""
    state: ConnectionState = ConnectionState.CONNECTING
    events: EventCounter = field(default_factory=EventCounter)
    closed: bool = False
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.unused.set()

    def may_act(self) -> bool:
        """Whether this node certainly still owns the lease."""
        return not self.closed and self.clock.monotonic_seconds() < self.leases.may_act_until

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Marks the session as used by a worker: its lease is not released during an attempt."""
        self.unused.clear()
        try:
            yield
        finally:
            self.unused.set()


@dataclass(slots=True)
class SessionChanges:
    """The instances whose session connected or disconnected since the last `take`."""

    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: set[str] = field(default_factory=set)

    def add(self, instance_id: str) -> None:
        self._changed.add(instance_id)
        self.wakeup.set()

    def take(self) -> set[str]:
        """Returns the ids of those instances, and empties the set."""
        changed, self._changed = self._changed, set()
        self.wakeup.clear()
        return changed


class ConnectedSessions:
    """The sessions that may send, by instance id."""

    def __init__(self) -> None:
        self._sessions: dict[str, LiveSession] = {}
        self._watchers: list[SessionChanges] = []

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._sessions

    def get(self, instance_id: str) -> LiveSession | None:
        return self._sessions.get(instance_id)

    def watch(self) -> SessionChanges:
        """Returns an object that collects changes; sessions connected now count as changed."""
        changes = SessionChanges()
        self._watchers.append(changes)
        for instance_id in self._sessions:
            changes.add(instance_id)
        return changes

    def add(self, live: LiveSession) -> None:
        if self._sessions.get(live.instance.id) is not live:
            self._sessions[live.instance.id] = live
            self._note_change(live.instance.id)

    def remove(self, instance_id: str) -> None:
        if self._sessions.pop(instance_id, None):
            self._note_change(instance_id)

    def _note_change(self, instance_id: str) -> None:
        for changes in self._watchers:
            changes.add(instance_id)
