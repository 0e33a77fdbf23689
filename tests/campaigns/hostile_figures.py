"""What a campaign of attacks measures: times, memory, and delays of the event loop."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from typer import echo

_P99: Final = 0.99


@dataclass
class Measured:
    """The seconds of the good account's requests, and what went wrong."""

    accepted: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lost: int = 0


@dataclass
class Outcome:
    """What one attack did."""

    name: str
    quiet: Measured
    attacked: Measured
    answered: dict[str, int]
    loop_seconds: str
    own_mib: float
    children_mib: float

    @property
    def ratio(self) -> float:
        pairs = (
            (self.quiet.accepted, self.attacked.accepted),
            (self.quiet.sent, self.attacked.sent),
        )
        return max(_quantile(after, _P99) / _quantile(before, _P99) for before, after in pairs)

    def show(self) -> None:
        quiet, attacked = self.quiet, self.attacked
        echo(
            f"{self.name:<30} accept {_figures(quiet.accepted)} -> {_figures(attacked.accepted)}  "
            f"sent {_figures(quiet.sent)} -> {_figures(attacked.sent)}  p99 x{self.ratio:4.1f}  "
            f"reads max {max(attacked.reads, default=0) * 1_000:.0f}  "
            f"loop <={self.loop_seconds} s  "
            f"lost {attacked.lost} failed {len(attacked.failed)}  "
            f"MiB {self.own_mib:.0f} + {self.children_mib:.0f}  {self.answered}"
        )
        for error in dict.fromkeys(attacked.failed):
            echo(f"    {error}")


def _quantile(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds) or [float("nan")]
    return ordered[int((len(ordered) - 1) * share)]


def _figures(seconds: Sequence[float]) -> str:
    return f"{_quantile(seconds, 0.5) * 1_000:.0f}/{_quantile(seconds, _P99) * 1_000:.0f} ms"


@dataclass
class Memory:
    """The peaks of the serving process and of its children, in MiB."""

    process: psutil.Process
    own_mib: float = 0.0
    children_mib: float = 0.0

    async def watch(self) -> None:
        _forget_peak(self.process.pid)
        while True:
            self.own_mib = max(self.own_mib, _peak_mib(self.process.pid))
            children = [child.pid for child in self.process.children(recursive=True)]
            self.children_mib = max(self.children_mib, sum(map(_resident_mib, children)))
            await asyncio.sleep(0.1)


def _forget_peak(pid: int) -> None:
    with suppress(OSError):  # elsewhere the peak is that since the start
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak_mib(pid: int) -> float:
    return _status_mib(pid, "VmHWM:")


def _resident_mib(pid: int) -> float:
    return _status_mib(pid, "VmRSS:")


def _status_mib(pid: int, name: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0


def largest_delay(before: dict[float, float], after: dict[float, float]) -> str:
    """Returns the limit of the largest delay that was counted in between."""
    largest, counted = 0.0, 0.0
    for limit in sorted(after):
        new = after[limit] - before.get(limit, 0.0)
        if new > counted:
            largest = limit
        counted = new
    return f"{largest:g}"
