"""Who runs the session of an instance: this node, for as long as its one row is renewed."""

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query

_JOIN_NODES = query("sessions", "join_nodes")
_RENEW_NODE = query("sessions", "renew_node")
_LEAVE_NODES = query("sessions", "leave_nodes")
_TAKE_LEASES = query("sessions", "take_leases")
_HELD_LEASES = query("sessions", "held_leases")

_MOST_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for an instance; a higher epoch ends every lower one."""

    instance_id: str
    epoch: int


class Leases:
    """This node's leases. Only the database's clock decides when they lapse.

    `may_act_until` is counted on our own monotonic clock from before a renewal was asked for,
    so that we stop no later than others may begin.
    """

    def __init__(
        self, database: Database, clock: Clock, *, node_id: str, lapse_seconds: float
    ) -> None:
        self._database, self._clock = database, clock
        self._node_id, self._lapse_seconds = node_id, lapse_seconds
        self.may_act_until = 0.0

    async def join(self) -> None:
        """Makes this node known, before it takes leases."""
        asked_at = self._clock.monotonic_seconds()
        await self._database.execute(
            _JOIN_NODES, node_id=self._node_id, internal_address=None, seconds=self._lapse_seconds
        )
        self.may_act_until = asked_at + self._lapse_seconds

    async def renew(self) -> None:
        """One small write for everything this node holds."""
        asked_at = self._clock.monotonic_seconds()
        if not await self._database.execute(
            _RENEW_NODE, node_id=self._node_id, seconds=self._lapse_seconds
        ):
            await self.join()
        self.may_act_until = asked_at + self._lapse_seconds

    async def take(self, *, restarted: bool = False) -> list[Lease]:
        """Takes what nobody holds; with *restarted* also what we held in an earlier life."""
        taken: list[Lease] = []
        while True:
            some = await self._database.fetch_all(
                Lease,
                _TAKE_LEASES,
                node_id=self._node_id,
                restarted=restarted and not taken,
                most=_MOST_AT_ONCE,
            )
            taken += some
            if len(some) < _MOST_AT_ONCE:
                return taken

    async def held(self) -> dict[str, int]:
        """The epoch of each lease this node holds, as the database sees it."""
        rows = await self._database.fetch_all(Lease, _HELD_LEASES, node_id=self._node_id)
        return {row.instance_id: row.epoch for row in rows}

    async def leave(self) -> None:
        """Lets others take everything at once; to be called when all sessions are closed."""
        await self._database.execute(_LEAVE_NODES, node_id=self._node_id)
        self.may_act_until = 0.0
