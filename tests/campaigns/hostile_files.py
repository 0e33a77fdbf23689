"""`python -m tests.campaigns.hostile_files` gives every hostile file to a converter.

It prints for each file its size, what came of it, the seconds that it took, the largest memory of
the process that read it, and the longest time for which the event loop of this process was blocked.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.contract.media import MediaFile
from gateway.errors import GatewayError
from gateway.media.converting import Converter
from gateway.media.jobs import JobLimits
from tests.fixtures.conversions import new_converter
from tests.fixtures.hostile_files import (
    HOSTILE_FILES,
    HostileFile,
    nested_page,
    nested_zip,
    zip_of_entries,
)

_PROBE_SECONDS = 0.005
_MIB = 1024 * 1024
_LIMITS = JobLimits(cpu_seconds=20)  # a third of the default, so that the campaign ends sooner
_ROW = "{:<32} {:>9} {:>7} {:>9} {:>8}  {}"


@dataclass(slots=True)
class Watch:
    """Samples the memory of the converting processes, and how late the loop runs."""

    converter: Converter
    peak_bytes: int = 0
    latest_seconds: float = 0.0

    async def run(self) -> None:
        due = time.perf_counter()
        while True:
            self.latest_seconds = max(self.latest_seconds, time.perf_counter() - due)
            for pool in (self.converter.conversions, self.converter.readings):
                for pid in pool.pids():
                    self.peak_bytes = max(self.peak_bytes, peak_memory_of(pid))
            due = time.perf_counter() + _PROBE_SECONDS
            await asyncio.sleep(_PROBE_SECONDS)


def peak_memory_of(pid: int) -> int:
    """Returns the largest resident size of a process; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _size_of(path: Path) -> int:
    return path.stat().st_size


async def outcome_of(work: Awaitable[object]) -> str:
    try:
        await work
    except GatewayError as error:
        return str(error)
    return "accepted"


async def convert(converter: Converter, path: Path, hostile: HostileFile) -> None:
    mime_type = await converter.type_of(path, None, instance_id="i")
    file = MediaFile(path, mime_type, _size_of(path), "")
    await converter.convert(file, hostile.kind, path.parent, instance_id="i")


async def measure(name: str, path: Path, work: Callable[[Converter], Awaitable[object]]) -> None:
    converter = new_converter(_LIMITS)
    watch = Watch(converter)
    watching = asyncio.create_task(watch.run())
    began = time.perf_counter()
    outcome = await outcome_of(work(converter))
    seconds = time.perf_counter() - began
    watching.cancel()
    await converter.close()
    print(
        _ROW.format(
            name,
            f"{_size_of(path) / 1024:,.0f} KB",
            f"{seconds:.2f} s",
            f"{watch.peak_bytes / _MIB:,.0f} MiB",
            f"{watch.latest_seconds * 1000:.0f} ms",
            outcome,
        ),
        flush=True,
    )


async def main() -> None:
    print(
        f"limits: {_LIMITS.memory_bytes // _MIB} MiB, {_LIMITS.cpu_seconds} s of processor time, "
        f"{_LIMITS.max_pixels // 1_000_000} million pixels"
    )
    print(_ROW.format("file", "size", "time", "peak", "loop", "outcome"))
    for hostile in HOSTILE_FILES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "original")
            hostile.build(path)
            await measure(hostile.name, path, partial(convert, path=path, hostile=hostile))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "original")
        zip_of_entries(path, 2_000_000)
        for name in (None, "x.docx"):
            await measure(
                f"ZIP, 2 million entries, {name}",
                path,
                partial(Converter.type_of, path=path, file_name=name, instance_id="i"),
            )
        path.write_bytes(nested_zip())
        await measure("ZIP in ZIP, 8 deep", path, lambda c: c.type_of(path, None, instance_id="i"))
        path.write_bytes(nested_page())
        await measure("page, 80,000 nested", path, lambda c: c.read("page", path, instance_id="i"))


if __name__ == "__main__":
    asyncio.run(main())
