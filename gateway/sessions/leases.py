"""Leases: the right of one node to run the session of an instance.

A node renews one row of its own, and with it all its leases. A node that renews too late loses
them: its leases lapse, and other nodes acquire them.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from psycopg import AsyncConnection

from gateway import __version__
from gateway.clock import Clock
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.errors import NodeReplaced

_FIND_PREDECESSOR = query("sessions", "find_predecessor")
_JOIN_NODES = query("sessions", "join_nodes")
_DELETE_EXPIRED_NODES = query("sessions", "delete_expired_nodes")
_REACQUIRE_LEASES = query("sessions", "reacquire_leases")
_RENEW_NODE = query("sessions", "renew_node")
_LEAVE_NODES = query("sessions", "leave_nodes")
_LEASE_SHARE = query("sessions", "lease_share")
_ACQUIRE_LEASES = query("sessions", "acquire_leases")
_RELEASE_LEASE = query("sessions", "release_lease")
_OWNED_LEASES = query("sessions", "owned_leases")

_MAX_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease this node owns. Statements of a lower epoch of the same instance change nothing."""

    instance_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class LeaseShare:
    """How many leases this node owns and should own.

    Attributes:
        owned: leases this node owns.
        share: leases this node should own.
        seconds_until_lapse: until the leases of another node lapse, unless that node renews
            them; None where there is no other node.
    """

    owned: int
    share: int
    seconds_until_lapse: float | None


@dataclass(frozen=True, slots=True)
class Predecessor:
    """An earlier process of this node that may still act, for at most *seconds*."""

    life: uuid.UUID
    seconds: float


@dataclass(frozen=True, slots=True)
class _Process:
    life: uuid.UUID


@dataclass(frozen=True, slots=True)
class _Renewed:
    database_seconds: float


@dataclass(frozen=True, slots=True)
class _Joined(_Renewed):
    previous_life: uuid.UUID | None
    previous_seconds: float


@dataclass(frozen=True, slots=True)
class Rejoined(_Renewed):
    """That this process is registered again; `sent_at` is on the monotonic clock."""

    sent_at: float


class Leases:
    """The leases of this node. The database's clock alone decides when leases lapse.

    `life` names this process: a node that starts again has another life. `may_act_until` is a
    time on this machine's monotonic clock. It counts from before the renewal was sent, so that
    this node stops no later than another node may begin. Every method may raise
    DatabaseUnavailable.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        node_id: str,
        lapse_seconds: float,
        internal_address: str | None = None,
        role: str | None = None,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        """Owns nothing yet.

        Args:
            database: has a connection when all others are in use, so that renewals do not wait.
            clock: time.
            node_id: the name of this node.
            lapse_seconds: from a renewal until the leases lapse.
            internal_address: the URL at which other nodes reach this one; None if they cannot.
            role: what this process does, for people who look at the nodes.
            new_uuid: makes the `life`.
        """
        self._database, self._clock = database, clock
        # A renewal that takes longer leaves no time for another one over a new connection.
        self._renewals = database.within(min(database.statement_seconds, lapse_seconds / 2))
        self._node_id, self._lapse_seconds = node_id, lapse_seconds
        self._internal_address, self._role = internal_address, role
        self.life = new_uuid()
        self._replaced: uuid.UUID | None = None
        self._has_joined = False
        self._database_ahead_seconds = 0.0
        self.may_act_until = 0.0

    def database_seconds(self) -> float:
        """Returns about what the database's clock shows, in seconds since 1970.

        All nodes compare times by this clock, because their own clocks may differ.
        """
        return self._clock.monotonic_seconds() + self._database_ahead_seconds

    async def join(self) -> Predecessor | None:
        """Registers this process as the node of its name; earlier processes lose that name.

        Returns the earlier process if it may still act: this node then owns nothing before
        `reacquire`. Returns None if there is none: this node then owns the leases that are
        stored under its name, with new epochs.
        """
        while True:
            await self._find_predecessor()
            sent_at = self._clock.monotonic_seconds()
            async with self._database.transaction() as connection:
                joined = await self._register(connection, replaced=self._replaced)
                if joined is None:
                    continue  # another process took the name meanwhile, and is replaced next
                predecessor = self._predecessor_in(joined)
                if predecessor is None:
                    await connection.execute(_REACQUIRE_LEASES, {"node_id": self._node_id})
            self._has_joined = True
            self._note_renewal(joined, sent_at)
            return predecessor

    async def _find_predecessor(self) -> None:
        """Looks which process this one is to replace.

        `join` replaces no other process, so the one that it replaced is known even if its answer
        is lost: a repeated one then finds this process itself.
        """
        found = await self._database.fetch_one(_Process, _FIND_PREDECESSOR, node_id=self._node_id)
        if found and found.life != self.life:
            self._replaced = found.life

    async def rejoin(self) -> Rejoined:
        """Registers this process again after its leases lapsed; it may not act until `act_again`.

        A lease that no other node acquired meanwhile keeps its epoch. All get new epochs if
        another process had the name of this node meanwhile.

        Raises:
            NodeReplaced: another process has the name.
        """
        sent_at = self._clock.monotonic_seconds()
        async with self._database.transaction() as connection:
            joined = await self._register(connection, replaced=None)
            if joined is None:
                raise NodeReplaced(self._node_id)
            if joined.previous_life != self.life:
                await connection.execute(_REACQUIRE_LEASES, {"node_id": self._node_id})
        return Rejoined(joined.database_seconds, sent_at)

    def act_again(self, rejoined: Rejoined) -> None:
        """Lets this node act; call it when the sessions of lost leases are closed."""
        self._note_renewal(rejoined, rejoined.sent_at)

    async def _register(
        self, connection: AsyncConnection, *, replaced: uuid.UUID | None
    ) -> _Joined | None:
        """Writes the row of this node; None if a process other than *replaced* renews the name."""
        joined = await fetch_all(
            connection,
            _Joined,
            _JOIN_NODES,
            node_id=self._node_id,
            internal_address=self._internal_address,
            life=self.life,
            role=self._role,
            version=__version__,
            seconds=self._lapse_seconds,
            replaced=replaced,
        )
        if not joined:
            return None
        await connection.execute(_DELETE_EXPIRED_NODES)
        return joined[0]

    async def reacquire(self) -> None:
        """Gives this node the leases stored under its name, with new epochs.

        Call it once it is certain that the earlier process acts no more.
        """
        await self._database.execute(_REACQUIRE_LEASES, node_id=self._node_id)

    def _predecessor_in(self, joined: _Joined) -> Predecessor | None:
        if joined.previous_life == self.life:
            # An earlier `join` was committed and its answer was lost: it replaced this process.
            if self._has_joined or self._replaced is None:
                return None
            return Predecessor(self._replaced, self._lapse_seconds)
        if joined.previous_life is None or joined.previous_seconds <= 0:
            return None
        return Predecessor(joined.previous_life, joined.previous_seconds)

    async def renew(self) -> bool:
        """Renews all leases of this node with one small write; False if they have lapsed."""
        sent_at = self._clock.monotonic_seconds()
        renewed = await self._renewals.fetch_one(
            _Renewed,
            _RENEW_NODE,
            node_id=self._node_id,
            life=self.life,
            seconds=self._lapse_seconds,
        )
        if renewed:
            self._note_renewal(renewed, sent_at)
        return renewed is not None

    async def share(self) -> LeaseShare | None:
        """Counts leases; returns None if those of this node lapsed a moment ago."""
        return await self._database.fetch_one(LeaseShare, _LEASE_SHARE, node_id=self._node_id)

    async def acquire(self, max_count: int) -> int:
        """Acquires up to *max_count* leases that no node owns; returns how many."""
        acquired = 0
        while acquired < max_count:
            batch = await self._database.fetch_all(
                Lease,
                _ACQUIRE_LEASES,
                node_id=self._node_id,
                max_count=min(max_count - acquired, _MAX_AT_ONCE),
            )
            if not batch:
                break
            acquired += len(batch)
        return acquired

    async def release(self, lease: Lease) -> None:
        """Lets another node acquire the lease at once. Call it when the session is closed."""
        await self._database.execute(
            _RELEASE_LEASE,
            node_id=self._node_id,
            instance_id=lease.instance_id,
            epoch=lease.epoch,
        )

    async def owned(self) -> dict[str, int]:
        """Returns the epoch of each lease that this node owns in the database, by instance id."""
        rows = await self._database.fetch_all(Lease, _OWNED_LEASES, node_id=self._node_id)
        return {row.instance_id: row.epoch for row in rows}

    async def leave(self) -> None:
        """Lets other nodes acquire all leases at once. Call it when all sessions are closed."""
        await self._database.execute(_LEAVE_NODES, node_id=self._node_id, life=self.life)
        self.may_act_until = 0.0

    def _note_renewal(self, renewed: _Renewed, sent_at: float) -> None:
        self.may_act_until = sent_at + self._lapse_seconds
        self._database_ahead_seconds = renewed.database_seconds - sent_at
