"""What a load costs: processor time, commits, fsyncs and WAL, statements, between two readings."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil
import psycopg

_STATEMENTS = """
    select case when toplevel then '' else '> ' end
               || left(regexp_replace(query, '\\s+', ' ', 'g'), 60),
           sum(calls), sum(plans), sum(total_exec_time), sum(total_plan_time)
    from pg_stat_statements s
    join pg_database d on d.oid = s.dbid and d.datname = current_database()
    group by 1
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """Sums of one statement; times in milliseconds."""

    text: str
    calls: float
    plans: float
    executing: float
    planning: float


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment: seconds of processor time, commits, fsyncs, bytes of WAL."""

    gateway: float
    postgres: float
    commits: float
    fsyncs: float
    wal: float
    statements: dict[str, Statement]

    def since(self, before: "Reading") -> "Reading":
        changed = {
            text: Statement(text, *(a - b for a, b in zip(_sums(now), _sums(earlier), strict=True)))
            for text, now in self.statements.items()
            for earlier in [before.statements.get(text, Statement(text, 0, 0, 0, 0))]
            if now.calls > earlier.calls
        }
        return Reading(
            self.gateway - before.gateway,
            self.postgres - before.postgres,
            self.commits - before.commits,
            self.fsyncs - before.fsyncs,
            self.wal - before.wal,
            changed,
        )


class Meter:
    """Reads the counters; Postgres must run on this machine."""

    def __init__(self, operator: psycopg.AsyncConnection, gateway_pids: Sequence[int]) -> None:
        self._operator = operator
        self._gateway = [psutil.Process(pid) for pid in gateway_pids]
        backend = psutil.Process(operator.info.backend_pid)
        self._own_backend = backend
        self._postmaster = psutil.Process(backend.ppid())
        self._has_statements = False

    @contextmanager
    def on_first_core(self) -> Iterator[None]:
        """Keeps the gateway, Postgres and what this process starts on one core; only on Linux."""
        cores = os.sched_getaffinity(0)
        self._move({min(cores)})
        try:
            yield
        finally:
            self._move(cores)

    def _move(self, cores: set[int]) -> None:
        os.sched_setaffinity(0, cores)
        for process in (*self._gateway, self._postmaster):
            for member in (process, *process.children(recursive=True)):
                with suppress(psutil.Error):  # the process has ended
                    for thread in member.threads():
                        with suppress(ProcessLookupError):  # the thread has ended
                            os.sched_setaffinity(thread.id, cores)

    async def prepare(self) -> None:
        """Finds out whether pg_stat_statements is loaded."""
        cursor = await self._operator.execute(
            "select current_setting('shared_preload_libraries') like '%%pg_stat_statements%%'"
        )
        ((self._has_statements,),) = await cursor.fetchall()
        if self._has_statements:
            await self._operator.execute("create extension if not exists pg_stat_statements")

    async def read(self) -> Reading:
        gateway = sum(_tree_seconds(process) for process in self._gateway)
        postgres = _tree_seconds(self._postmaster) - processor_seconds(self._own_backend)
        cursor = await self._operator.execute(
            """select (select xact_commit from pg_stat_database where datname = current_database()),
                      pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"""
        )
        ((commits, wal),) = await cursor.fetchall()
        return Reading(
            gateway, postgres, float(commits), await self._fsyncs(), float(wal), await self._sums()
        )

    async def _fsyncs(self) -> float:
        """Postgres 18 counts them elsewhere."""
        if self._operator.info.server_version >= 180_000:
            text = "select sum(fsyncs) from pg_stat_io where object = 'wal'"
        else:
            text = "select wal_sync from pg_stat_wal"
        cursor = await self._operator.execute(text.encode())
        ((count,),) = await cursor.fetchall()
        return float(count or 0)

    async def _sums(self) -> dict[str, Statement]:
        if not self._has_statements:
            return {}
        cursor = await self._operator.execute(_STATEMENTS.encode())
        return {text: Statement(text, *map(float, sums)) for text, *sums in await cursor.fetchall()}


def _tree_seconds(process: psutil.Process) -> float:
    """Processor time of a process and its children, of those that ended too."""
    times = process.cpu_times()
    total = processor_seconds(process) + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            total += processor_seconds(child)
        except psutil.NoSuchProcess:
            continue
    return float(total)


def processor_seconds(process: psutil.Process) -> float:
    """Returns the processor time of a process, without its children.

    /proc counts in hundredths of a second, for two kinds of time. A window has a quarter of a
    second of the cheapest process, of which the difference of two readings may miss 8 %.
    """
    if sys.platform == "linux":
        try:
            return time.clock_gettime((~process.pid << 3) | 2)  # the process's CPUCLOCK_SCHED
        except OSError:
            raise psutil.NoSuchProcess(process.pid) from None
    times = process.cpu_times()
    return float(times.user + times.system)


def _sums(statement: Statement) -> tuple[float, float, float, float]:
    return statement.calls, statement.plans, statement.executing, statement.planning


def cores() -> int:
    return os.cpu_count() or 1
