"""What `soak` reads every few seconds, and how much of it grows.

A slope is that of the line with the least squares through the last two thirds of the readings: in
the first third caches and pools fill.
"""

import csv
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import psycopg

from tests.benchmarks.figures import number

_MIB = 2**20
_CONNECTIONS = "select count(*) from pg_stat_activity where datname = current_database()"
_WAITING = """select (select count(*) from message_queue)
                     + (select coalesce(sum(pending), 0) from delivery_queues)"""


@dataclass
class Series:
    """Readings of one thing; hours from the start."""

    hours: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, hours: float, value: float) -> None:
        self.hours.append(hours)
        self.values.append(value)

    def slope(self) -> float:
        """Returns how much the last two thirds rise in an hour."""
        since = self.hours[0] + (self.hours[-1] - self.hours[0]) / 3
        pairs = [(h, v) for h, v in zip(self.hours, self.values, strict=True) if h >= since]
        return statistics.linear_regression(*zip(*pairs, strict=True)).slope

    def third(self, index: int) -> Sequence[float]:
        size = max(1, len(self.values) // 3)
        return self.values[index * size : (index + 1) * size] if index < 2 else self.values[-size:]


class Sampler:
    """Reads the processes of a gateway, its metrics, and its Postgres on this machine."""

    def __init__(self, operator: psycopg.AsyncConnection, pid: int, internal_port: int) -> None:
        self._operator, self._gateway = operator, psutil.Process(pid)
        own = psutil.Process(operator.info.backend_pid)
        self._own_backend, self._postmaster = own.pid, psutil.Process(own.ppid())
        self._metrics = httpx.AsyncClient(base_url=f"http://127.0.0.1:{internal_port}")
        self.series: dict[str, Series] = {}

    async def read(self, hours: float) -> dict[str, float]:
        """Returns the figures of this moment, by name, and stores them."""
        now = Counter[str]()
        now.update(_figures_of(self._gateway, "gateway"))
        for child in self._gateway.children(recursive=True):
            now.update(_figures_of(child, _role_of(child)))
        backends = [p for p in self._postmaster.children() if p.pid != self._own_backend]
        for process in [self._postmaster, *backends]:
            now.update(_figures_of(process, "Postgres"))
        metrics = (await self._metrics.get("/metrics")).text.splitlines()
        figures: dict[str, float] = {
            **now,
            "tasks": sum(float(s.split()[1]) for s in metrics if s.startswith("event_loop_tasks ")),
            "connections": await number(self._operator, _CONNECTIONS) - 1,
            "waiting rows": await self.waiting(),
        }
        for name, value in figures.items():
            self.series.setdefault(name, Series()).add(hours, value)
        return figures

    async def waiting(self) -> float:
        """Returns the messages and callbacks that wait in Postgres."""
        return await number(self._operator, _WAITING)

    async def close(self) -> None:
        await self._metrics.aclose()

    def write(self, path: Path) -> None:
        """Writes all readings as CSV, one a line."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("hours", "name", "value"))
            for name, series in self.series.items():
                writer.writerows(
                    (f"{h:.5f}", name, v) for h, v in zip(series.hours, series.values, strict=True)
                )

    def report(self) -> list[str]:
        """Returns a line for each series: its thirds, and its slope."""
        lines = []
        for name, series in sorted(self.series.items()):
            medians = ", ".join(f"{statistics.median(series.third(i)):,.1f}" for i in range(3))
            lines.append(
                f"  {name}: medians of thirds {medians}; "
                f"{min(series.values):,.1f} to {max(series.values):,.1f}; "
                f"slope {series.slope():+,.2f} per hour"
            )
        return lines


def _figures_of(process: psutil.Process, role: str) -> dict[str, float]:
    try:
        memory = process.memory_full_info()
        return {
            f"{role} RSS MiB": memory.rss / _MIB,
            f"{role} USS MiB": memory.uss / _MIB,
            f"{role} descriptors": process.num_fds(),
            f"{role} threads": process.num_threads(),
            f"{role} processes": 1,
        }
    except psutil.NoSuchProcess:
        return {}


def _role_of(process: psutil.Process) -> str:
    """Names a child by the module or the program that it runs."""
    try:
        words: list[str] = process.cmdline()
    except psutil.NoSuchProcess:
        return "ended"
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return Path(words[0]).name if words else "ended"
