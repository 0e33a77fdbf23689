"""What a campaign of attacks measures: times, memory, and delays of the event loop."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
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
class Memory:
    """The peaks of the serving process and of its children, in MiB."""

    process: psutil.Process
    own_mib: float = 0.0
    children_mib: float = 0.0

    async def watch(self) -> None:
        _forget_peak(self.process.pid)
        while True:
            self.own_mib = max(self.own_mib, _peak_mib(self.process.pid))
            children = sum(map(_resident_mib, _descendants(self.process.pid)))
            self.children_mib = max(self.children_mib, children)
            await asyncio.sleep(0.1)


@dataclass
class Outcome:
    """What one attack did, by its windows and the quiet ones before them."""

    name: str
    memory: Memory
    quiet: list[Measured] = field(default_factory=list)
    attacked: list[Measured] = field(default_factory=list)
    control: list[Measured] = field(default_factory=list)
    """Of the account on another gateway, while this one was attacked."""
    answered: Counter[str] = field(default_factory=Counter)
    loop_seconds: float = 0.0

    @property
    def ratio(self) -> float:
        return _ratio(self.quiet, self.attacked)

    @property
    def beside_control(self) -> float:
        return _ratio(self.control, self.attacked)

    @property
    def noise(self) -> float:
        """How much the quiet windows differ: the largest of their p99 by the smallest."""
        of_windows = (
            [_quantile(window.accepted, _P99) for window in self.quiet],
            [_quantile(window.sent, _P99) for window in self.quiet],
        )
        return max(max(each) / min(each) for each in of_windows)

    @property
    def lost_or_failed(self) -> bool:
        attacked = _together(self.attacked)
        return bool(attacked.lost or attacked.failed)

    def show(self, *, load: float) -> None:
        quiet, attacked = _together(self.quiet), _together(self.attacked)
        control = _together(self.control)
        echo(
            f"{self.name:<30} accept {_figures(quiet.accepted)} -> {_figures(attacked.accepted)} "
            f"({_figures(control.accepted)})  "
            f"sent {_figures(quiet.sent)} -> {_figures(attacked.sent)} ({_figures(control.sent)})  "
            f"p99 x{self.ratio:3.1f}  beside control x{self.beside_control:3.1f}  "
            f"noise x{self.noise:3.1f}  load {load:.1f}  "
            f"reads max {max(attacked.reads, default=0) * 1_000:.0f}  "
            f"loop <={self.loop_seconds:g} s  "
            f"lost {attacked.lost} failed {len(attacked.failed)}  "
            f"MiB {self.memory.own_mib:.0f} + {self.memory.children_mib:.0f}  "
            f"{dict(self.answered)}"
        )
        for error in dict.fromkeys(attacked.failed):
            echo(f"    {error}")


def _together(windows: Sequence[Measured]) -> Measured:
    """Returns the windows as one."""
    whole = Measured()
    for each in windows:
        whole.accepted += each.accepted
        whole.sent += each.sent
        whole.reads += each.reads
        whole.failed += each.failed
        whole.lost += each.lost
    return whole


def _ratio(before: Sequence[Measured], after: Sequence[Measured]) -> float:
    """Returns the larger ratio of the p99 of accepting and of sending."""
    first, second = _together(before), _together(after)
    pairs = ((first.accepted, second.accepted), (first.sent, second.sent))
    return max(_quantile(new, _P99) / _quantile(old, _P99) for old, new in pairs)


def _quantile(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds) or [float("nan")]
    return ordered[int((len(ordered) - 1) * share)]


def _figures(seconds: Sequence[float]) -> str:
    return f"{_quantile(seconds, 0.5) * 1_000:.0f}/{_quantile(seconds, _P99) * 1_000:.0f}"


def _forget_peak(pid: int) -> None:
    with suppress(OSError):  # elsewhere the peak is that since the start
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _descendants(pid: int) -> Iterator[int]:
    """Yields the processes below one; psutil would look at every process of the machine."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (thread / "children").read_text().split()):
                yield child
                yield from _descendants(child)


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


def largest_delay(before: dict[float, float], after: dict[float, float]) -> float:
    """Returns the limit of the largest delay that was counted in between, in seconds."""
    largest, counted = 0.0, 0.0
    for limit in sorted(after):
        new = after[limit] - before.get(limit, 0.0)
        if new > counted:
            largest = limit
        counted = new
    return largest
