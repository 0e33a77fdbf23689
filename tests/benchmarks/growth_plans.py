"""Runs the statements of `growth_statements` and `growth_lists` under plans that they may have."""

import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from gateway.database.planning import Plans
from gateway.database.queries import query
from tests.benchmarks.growth_lists import lists, repeated
from tests.benchmarks.growth_statements import Round, Step, find_round, note_claimed, steps
from tests.benchmarks.harness import say

_NAMES = re.compile(r"%\((\w+)\)s")
_EXPLAIN = SQL("explain (analyze, buffers, timing off, format json) ")


_USES_BEFORE_GENERIC = 6


class Planning(StrEnum):
    """When Postgres plans a statement."""

    EACH_TIME = "planned each time"
    """For these parameters, with the statistics of now."""
    AS_IT_RUNS = "as it runs"
    """As the gateway asks for it; else Postgres chooses, as after some uses."""


@dataclass(slots=True)
class Cost:
    """Pages and milliseconds of the same statement, many times."""

    buffers: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{statistics.median_low(self.buffers):,.0f} ({min(self.milliseconds):.2f})"


Costs = dict[str, Cost]


class Measurement:
    """One connection, whose prepared statements keep their plans until their tables change."""

    def __init__(self, connection: psycopg.AsyncConnection, planning: Planning) -> None:
        self._connection, self._planning = connection, planning
        # Otherwise psycopg deallocates every statement when a transaction is rolled back.
        connection.prepare_threshold = None
        self._plans = Plans(0.0, 0.0)
        self._prepared: set[str] = set()

    async def run(
        self, times: int, *, wanted: Callable[[Step], bool] = lambda _step: True
    ) -> Costs:
        """Runs every statement *times*, and undoes it."""
        costs: Costs = {}
        for _ in range(times):
            of = await find_round(self._connection)
            async with self._connection.transaction(force_rollback=True):
                for title in [step.title for step in all_steps(of)]:
                    step = next(step for step in all_steps(of) if step.title == title)
                    if not wanted(step):
                        continue
                    plan = await self._explain(step)
                    if step.name == "claim":
                        await note_claimed(self._connection, of)
                    root, cost = plan["Plan"], costs.setdefault(step.title, Cost())
                    cost.buffers.append(root["Shared Hit Blocks"] + root["Shared Read Blocks"])
                    cost.milliseconds.append(plan["Execution Time"])
        return costs

    async def _explain(self, step: Step) -> dict[str, Any]:
        as_it_runs = self._planning is Planning.AS_IT_RUNS and not step.each_time
        await self._plans.plan_once(self._connection, once=step.once and as_it_runs)
        if not as_it_runs:
            await self._connection.execute("set plan_cache_mode = force_custom_plan")
            self._plans.once = None
        call = await self._prepared_call(step)
        cursor = await self._connection.execute(_EXPLAIN + call, prepare=False)
        ((found,),) = await cursor.fetchall()
        plan: dict[str, Any] = found[0]
        return plan

    async def _prepared_call(self, step: Step) -> Composed:
        """Prepares the statement at its first use, and returns what executes it."""
        text = query(step.file, step.name).as_string()
        names = list(dict.fromkeys(_NAMES.findall(text)))
        name = f"{step.file}_{step.name}"
        call = SQL("execute {}").format(Identifier(name))
        if names:
            values = (_literal(step.parameters.get(parameter)) for parameter in names)
            call += SQL("({})").format(SQL(", ").join(values))
        if name not in self._prepared:
            self._prepared.add(name)
            for number, parameter in enumerate(names, start=1):
                text = text.replace(f"%({parameter})s", f"${number}")
            await self._connection.execute(
                f"prepare {name} as {text.replace('%%', '%')}".encode(), prepare=False
            )
            for _ in range(_USES_BEFORE_GENERIC):
                await self._connection.execute(SQL("explain ") + call, prepare=False)
        return call


def all_steps(of: Round) -> Iterator[Step]:
    """Yields every statement in the order in which a round runs them."""
    yield from steps(of)
    yield from lists(of.receipts_of[0])
    yield from repeated()


def _literal(value: object) -> Any:
    """A list without its type: the statement casts it."""
    if not isinstance(value, list):
        return Literal(value)
    text = Literal(value).as_string()
    return SQL(re.sub(r"::[\w\s.\"]+\[\]$", "", text))


def show(what: str, columns: dict[str, Costs]) -> None:
    """Prints a table with a row for each statement; pages, and the least milliseconds."""
    say(f"{what}: pages of 8 KiB (milliseconds)")
    names = list(next(iter(columns.values())))
    say(" | ".join(["statement".ljust(45), *(column.rjust(20) for column in columns)]))
    for name in names:
        cells = (str(costs[name]) if name in costs else "-" for costs in columns.values())
        say(" | ".join([name.ljust(45), *(cell.rjust(20) for cell in cells)]))
