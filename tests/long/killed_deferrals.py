"""Kills a process at each line of the code that defers or moves a file, and looks for the file.

Prints a line for each process that was killed: the phase, the line, and what was found afterwards.
Its arguments: the URL of a database, a folder, and the port of a bucket.
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from gateway.database.pool import Database
from gateway.media import deferred_files, deferred_folder, storing
from gateway.media.deferred_files import DeferredFiles, NodeAddress
from gateway.media.deferred_folder import DeferredFolder
from gateway.media.disk_reserve import DiskReserve
from gateway.media.spooling import Spool, Spooled
from gateway.media.storing import MediaStore
from tests.fixtures.buckets import bucket_at, failing_bucket
from tests.fixtures.conversions import new_converter

TRACED = {module.__file__ for module in (deferred_files, deferred_folder, storing)}
_MAX_LINES = 2_000


@dataclass(frozen=True)
class Site:
    database_url: str
    folder: Path
    port: int

    async def run(
        self, work: Callable[[MediaStore, MediaStore, DeferredFiles], Awaitable[Any]]
    ) -> Any:
        """Runs *work* with a store whose bucket fails, and with one whose bucket works."""
        database = Database(self.database_url, min_size=1, max_size=2)
        await database.open()
        reserve = DiskReserve(self.folder, 0)
        folder = DeferredFolder(self.folder / "deferred-media", reserve)
        address = NodeAddress("one", "http://127.0.0.1:1")
        files = DeferredFiles(database, folder, None, address)  # type: ignore[arg-type]
        spool = Spool(self.folder / "spool", reserve)
        down, up = (
            MediaStore(database, objects, spool, new_converter(), retention_days=1, deferred=files)
            for objects in (failing_bucket(), bucket_at(self.port, "killed"))
        )
        return await work(down, up, files)

    def file(self, content: bytes) -> Spooled:
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / "given"
        path.write_bytes(content)
        return Spooled(path, len(content), digest)


class Killer:
    """Kills this process at the *nth* line that one of the traced modules begins."""

    def __init__(self, nth: int) -> None:
        self._left, self._lock = nth, threading.Lock()

    def start(self) -> None:
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def stop(self) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        return self._trace


def in_process(work: Callable[[], Any]) -> tuple[bool, Any]:
    """Returns whether a process of its own lived, and what it wrote with `report`."""
    reading, writing = os.pipe()
    if (process := os.fork()) == 0:
        os.close(reading)
        os.dup2(writing, 3)
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the parent prints it
            report({"error": repr(error)})
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as reports:
        lines = reports.read().splitlines()
    _pid, status = os.waitpid(process, 0)
    return not os.WIFSIGNALED(status), json.loads(lines[-1]) if lines else {}


def report(found: dict[str, Any]) -> None:
    os.write(3, json.dumps(found).encode() + b"\n")


def defer(site: Site, nth: int) -> None:
    async def work(down: MediaStore, _up: MediaStore, _files: DeferredFiles) -> None:
        killer = Killer(nth)
        killer.start()
        await down.put("I1", site.file(f"deferred {nth}".encode()))
        report({"accepted": True})
        killer.stop()

    asyncio.run(site.run(work))


def move(site: Site, nth: int) -> None:
    async def work(down: MediaStore, up: MediaStore, files: DeferredFiles) -> None:
        await down.put("I1", site.file(f"moved {nth}".encode()))
        report({"accepted": True})
        killer = Killer(nth)
        killer.start()
        await files.move_to(up)
        killer.stop()

    asyncio.run(site.run(work))


def look(site: Site, content: bytes) -> None:
    """Reads the file before and after another pass of the move, and lists what is left."""

    async def work(_down: MediaStore, up: MediaStore, files: DeferredFiles) -> None:
        file = site.file(content)
        before = await up.copy_to(file.sha256, site.folder / "copy")
        old = time.time() - 7_200
        for path in (site.folder / "deferred-media").iterdir():
            os.utime(path, (old, old))
        await files.move_to(up)
        after = await up.copy_to(file.sha256, site.folder / "copy")
        report(
            {
                "before": before is not None,
                "after": after is not None,
                "left": sorted(p.name for p in (site.folder / "deferred-media").iterdir()),
                "notes": (await files.count()).files,
            }
        )

    asyncio.run(site.run(work))


def main(database_url: str, folder: str, port: str) -> None:
    site = Site(database_url, Path(folder), int(port))
    for phase, scenario in (("deferred", defer), ("moved", move)):
        for nth in range(1, _MAX_LINES):
            content = f"{phase} {nth}".encode()
            lived, wrote = in_process(partial(scenario, site, nth))
            _lived, found = in_process(partial(look, site, content))
            line = {"phase": phase, "nth": nth, "lived": lived, **wrote, **found}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            if lived:
                break


if __name__ == "__main__":
    main(*sys.argv[1:])
