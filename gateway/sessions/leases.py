"""Who runs the session of an instance: this node, for as long as its one row is renewed."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.errors import NodeReplaced

_JOIN_NODES = query("sessions", "join_nodes")
_FORGET_NODES = query("sessions", "forget_nodes")
_RETAKE_LEASES = query("sessions", "retake_leases")
_RENEW_NODE = query("sessions", "renew_node")
_LEAVE_NODES = query("sessions", "leave_nodes")
_STANDING = query("sessions", "standing")
_TAKE_LEASES = query("sessions", "take_leases")
_GIVE_LEASE = query("sessions", "give_lease")
_HELD_LEASES = query("sessions", "held_leases")

_MAX_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for an instance; a higher epoch ends every lower one."""

    instance_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Standing:
    """This node among the others.

    Attributes:
        held: leases it has.
        share: leases it should have.
        seconds_until_lapse: when the next of the others lapses, unless that renews.
    """

    held: int
    share: int
    seconds_until_lapse: float | None


@dataclass(frozen=True, slots=True)
class Predecessor:
    """An earlier process of this node, which may still act for some seconds.

    `life` is None where it is not known which one that was.
    """

    life: uuid.UUID | None
    seconds: float


@dataclass(frozen=True, slots=True)
class _Told:
    database_seconds: float


@dataclass(frozen=True, slots=True)
class _Joined(_Told):
    previous_life: uuid.UUID | None
    previous_seconds: float


class Leases:
    """This node's leases. Only the database's clock decides when they lapse.

    `may_act_until` is counted on our own monotonic clock from before a renewal was asked for,
    so that we stop no later than others may begin. Every method may raise DatabaseUnavailable.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        node_id: str,
        lapse_seconds: float,
        internal_address: str | None = None,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._database, self._clock = database, clock
        self._node_id, self._lapse_seconds = node_id, lapse_seconds
        self._internal_address = internal_address
        self.life = new_uuid()
        self._has_joined = False
        self._database_ahead_seconds = 0.0
        self.may_act_until = 0.0

    def database_seconds(self) -> float:
        """What the database's clock shows, nearly: nodes need not agree on their own."""
        return self._clock.monotonic_seconds() + self._database_ahead_seconds

    async def join(self, *, replace: bool = True) -> Predecessor | None:
        """Makes this node known, and ends what was begun under its name.

        Where an earlier process may still act, that process is returned, and nothing is taken
        before `retake`. None says that this node has its leases again, with new epochs.

        Args:
            replace: also where another process renews this name: a node that starts ends the
                life before it, and a node that comes late to itself finds that it was replaced.

        Raises:
            NodeReplaced: another process goes by this name now.
        """
        asked_at = self._clock.monotonic_seconds()
        async with self._database.transaction() as connection:
            joined = await fetch_all(
                connection,
                _Joined,
                _JOIN_NODES,
                node_id=self._node_id,
                internal_address=self._internal_address,
                life=self.life,
                seconds=self._lapse_seconds,
                replace=replace,
            )
            if not joined:
                raise NodeReplaced(self._node_id)
            await connection.execute(_FORGET_NODES)
            predecessor = self._predecessor_in(joined[0])
            if predecessor is None:
                await connection.execute(_RETAKE_LEASES, {"node_id": self._node_id})
        self._has_joined = True
        self._note(joined[0], asked_at)
        return predecessor

    async def retake(self) -> None:
        """Takes what this node held in its earlier life, whose end is certain."""
        await self._database.execute(_RETAKE_LEASES, node_id=self._node_id)

    def _predecessor_in(self, joined: _Joined) -> Predecessor | None:
        if joined.previous_life == self.life:
            # The answer to an earlier `join` was lost, and with it who was there before.
            return None if self._has_joined else Predecessor(None, self._lapse_seconds)
        if joined.previous_seconds <= 0:
            return None
        return Predecessor(joined.previous_life, joined.previous_seconds)

    async def renew(self) -> bool:
        """One small write for everything this node holds; False when it came too late for it."""
        asked_at = self._clock.monotonic_seconds()
        told = await self._database.fetch_one(
            _Told,
            _RENEW_NODE,
            node_id=self._node_id,
            life=self.life,
            seconds=self._lapse_seconds,
        )
        if told:
            self._note(told, asked_at)
        return told is not None

    async def standing(self) -> Standing | None:
        """None when we lapsed a moment ago."""
        return await self._database.fetch_one(Standing, _STANDING, node_id=self._node_id)

    async def take(self, max_count: int) -> int:
        """Takes up to *most* of what nobody holds; returns how many."""
        taken = 0
        while taken < max_count:
            some = await self._database.fetch_all(
                Lease,
                _TAKE_LEASES,
                node_id=self._node_id,
                max_count=min(max_count - taken, _MAX_AT_ONCE),
            )
            if not some:
                break
            taken += len(some)
        return taken

    async def give(self, lease: Lease) -> None:
        """Lets others take it at once; to be called when its session is closed."""
        await self._database.execute(
            _GIVE_LEASE,
            node_id=self._node_id,
            instance_id=lease.instance_id,
            epoch=lease.epoch,
        )

    async def held(self) -> dict[str, int]:
        """The epoch of each lease this node holds, as the database sees it."""
        rows = await self._database.fetch_all(Lease, _HELD_LEASES, node_id=self._node_id)
        return {row.instance_id: row.epoch for row in rows}

    async def leave(self) -> None:
        """Lets others take everything at once; to be called when all sessions are closed."""
        await self._database.execute(_LEAVE_NODES, node_id=self._node_id, life=self.life)
        self.may_act_until = 0.0

    def _note(self, told: _Told, asked_at: float) -> None:
        self.may_act_until = asked_at + self._lapse_seconds
        self._database_ahead_seconds = told.database_seconds - asked_at
