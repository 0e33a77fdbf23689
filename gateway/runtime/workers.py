"""Runs several nodes on one machine: a parent process starts workers, and restarts them.

parent   reserves the port, runs the embedded Postgres if no other is set, passes signals on
worker   `gateway serve --worker 2`: a node, whose internal port follows that of the previous
         worker; its standard input is a pipe, which ends when the parent is gone
"""

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress

from gateway.errors import StartRefused
from gateway.observability.logging import logger
from gateway.runtime.development import write_development_settings
from gateway.runtime.http_server import family_of, refusal_explained
from gateway.runtime.postgres import postgres_of
from gateway.runtime.progress import Progress
from gateway.settings import Settings

_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.5, 30.0
_STEADY_SECONDS = 60.0  # the pause is short again after a worker ran for so long
_GRACE_SECONDS = 5.0  # for the end of a worker after its drain
_REFUSED = 2


class Workers:
    """Runs the configured number of worker processes until SIGINT or SIGTERM."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], progress: Progress
    ) -> None:
        if not hasattr(socket, "SO_REUSEPORT"):
            raise StartRefused("This system cannot share a port: run without --workers")
        self._settings, self._progress = settings, progress
        self._environment = dict(environment)
        self._stopping = asyncio.Event()
        self._processes: dict[int, Process] = {}
        self._codes: dict[int, int] = {}

    async def run(self) -> int:
        """Returns the exit code: 0 when every worker drained.

        Raises:
            StartRefused: another program uses the port, or the data directory or the embedded
                Postgres cannot be used.
        """
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self._stopping.set)
        with self._reserved_port():
            write_development_settings(self._settings)
            async with postgres_of(self._settings, self._progress) as url:
                self._environment["DATABASE_URL"] = url
                async with asyncio.TaskGroup() as group:
                    for number in range(1, self._settings.process.workers + 1):
                        group.create_task(self._keep_running(number), name=f"worker {number}")
                    await self._stopping.wait()
                    logger.info("stopping", workers=len(self._processes))
                    for process in self._processes.values():
                        with suppress(ProcessLookupError):
                            process.terminate()
        if _REFUSED in self._codes.values():
            return _REFUSED
        return int(any(self._codes.values()))

    def _reserved_port(self) -> socket.socket:
        """Binds the port without listening: it stays reserved while a worker restarts."""
        host, port = self._settings.listener.host, self._settings.listener.port
        reserved = socket.socket(family_of(host), socket.SOCK_STREAM)
        if not self._settings.process.role.serves:
            return reserved
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with refusal_explained(host, port):
            reserved.bind((host, port))
        self._environment["GATEWAY_PORT"] = str(reserved.getsockname()[1])
        return reserved

    async def _keep_running(self, number: int) -> None:
        """Runs a worker, and another one each time it ends, until the stop.

        This is no PeriodicLoop: a run lasts as long as the process, and the pause grows.
        """
        loop, pause = asyncio.get_running_loop(), _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began_at = loop.time()
            code = await self._run(number)
            if self._stopping.is_set() or code == _REFUSED:
                # The other workers have the same settings, and would fail the same way.
                self._codes[number] = code
                self._stopping.set()
                return
            if loop.time() - began_at > _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            logger.warning("worker_ended", worker=number, code=code, again_in_seconds=pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    async def _run(self, number: int) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve", "--worker", str(number)),
            stdin=PIPE,
            env=self._environment | {"GATEWAY_ROLE": self._settings.process.role},
        )
        self._processes[number] = process
        try:
            if self._stopping.is_set():  # the signal came while the process started
                process.terminate()
            return await self._end_of(process)
        finally:
            del self._processes[number]
            if process.returncode is None:
                process.kill()

    async def _end_of(self, process: Process) -> int:
        """Returns the exit code; kills a process that drains for too long after a stop."""
        async with asyncio.TaskGroup() as group:
            killer = group.create_task(self._kill_after_drain(process))
            code = await process.wait()
            killer.cancel()
        return code

    async def _kill_after_drain(self, process: Process) -> None:
        await self._stopping.wait()
        await asyncio.sleep(self._settings.process.drain_seconds + _GRACE_SECONDS)
        with suppress(ProcessLookupError):
            process.kill()


async def end_of_parent() -> None:
    """Returns when the process that started this worker is gone."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        await reader.read()
    finally:
        transport.close()
