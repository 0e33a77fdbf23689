"""How Postgres plans the statements of a connection, and when it plans them again."""

from dataclasses import dataclass
from typing import Final

from psycopg import AsyncConnection
from psycopg.sql import SQL

_LAST_SECONDS, _LAST_USES = 5.0, 500
_LAST_AT_MOST_SECONDS, _FEW_USES = 60.0, 10

# JIT compiles a statement that runs for a millisecond in a tenth of a second. Where sequential
# scans are off, Postgres before 18 takes each plan that has one for so expensive that JIT pays.
_SET: Final = SQL(
    "select set_config('plan_cache_mode', %(mode)s::text, false),"
    " set_config('enable_seqscan', %(seqscan)s::text, false),"
    " set_config('random_page_cost', %(page_cost)s::text, false),"
    " set_config('cpu_tuple_cost', %(row_cost)s::text, false), set_config('jit', 'off', false),"
    " set_config('enable_partition_pruning', %(pruning)s::text, false)"
)
# A statement of Postgres 18 that locks a row which another transaction has changed checks that row
# in a state of its own. This replaces the expressions that find partitions, and frees them when the
# check is over: looking a partition up later in the statement ends with a segmentation fault.
_PRUNING_CRASHES_FROM: Final = 180_000
# To Postgres an unknown array has ten elements, so it would rather read a table of 200 rows than
# look ten up. The costs say that a look-up is cheap and a row is not.
_ONCE: Final = {
    "mode": "force_generic_plan",
    "seqscan": "off",
    "page_cost": "1.1",
    "row_cost": "0.5",
}
_AS_USUAL: Final = dict.fromkeys(_ONCE)  # null is what the server or the role has


@dataclass(slots=True)
class Plans:
    """The plans of one connection: when they were last discarded, and the uses after that."""

    discarded_at: float
    first_used_at: float
    uses: int = 0
    once: bool | None = None
    """Whether statements are planned once; None before the first statement."""

    async def plan_once(self, connection: AsyncConnection, *, once: bool) -> None:
        """Makes Postgres plan the next statements once for all parameters, or as usual."""
        if self.once is not once:
            crashes = connection.info.server_version >= _PRUNING_CRASHES_FROM
            settings = _ONCE if once else _AS_USUAL
            await connection.execute(_SET, {**settings, "pruning": "off" if crashes else None})
            self.once = once

    async def discard_old(self, connection: AsyncConnection, now: float) -> None:
        """Makes Postgres plan again after some time of use.

        Otherwise a plan that was made for a small table stays in use while the table grows. An
        idle connection discards nothing. Where few statements run, plans last for a minute: to
        plan all of them again costs more than to run them.
        """
        self.uses += 1
        age = now - self.discarded_at
        if (age >= _LAST_SECONDS and self.uses > _LAST_USES) or (
            age >= _LAST_AT_MOST_SECONDS and self.uses > _FEW_USES
        ):
            self.discarded_at, self.uses = now, 0
            await connection.execute("discard plans")
