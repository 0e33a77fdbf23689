"""Runs an embedded Postgres server.

    start      lock -> initdb when needed -> adopt a live server, else spawn one -> create database
    run_until  wait for the server to end -> pause -> start ... until stopping
    stop       shut down the server that this process spawned, never an adopted one

Two processes may share a data folder: the first spawns the server; the second adopts it, and
spawns the next one when it ends. On Linux the server dies with the thread that spawned it: run the
event loop in the main thread. `cluster_site` decides where the cluster lives and which system user
runs it.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import psycopg
import tenacity
from psycopg import sql

from gateway.embedded_postgres.cluster_site import (
    EmbeddedPostgresError,
    Site,
    find_site,
    holds_cluster,
    is_cluster,
    log,
)
from gateway.embedded_postgres.postmaster import (
    POLL_SECONDS,
    ServerAddress,
    clear_the_way,
    live_postmaster,
    only_process,
    read_postmaster,
)

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "EmbeddedStep"]

ADOPTED_POLL_SECONDS = 1.0
FAST_SHUTDOWN_SECONDS = 20.0
IMMEDIATE_SHUTDOWN_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 60.0  # the pause is short again after the server ran for so long

SETTINGS = {
    "max_connections": "200",
    # The only guard: the cluster trusts every client that can open its socket.
    "unix_socket_permissions": "0700",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}
DURABILITY_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")


class EmbeddedStep(StrEnum):
    """The slow steps of a start."""

    SETTING_UP = "setting_up"
    STARTING = "starting"
    ADOPTED = "adopted"


class EndedWhileStartingError(EmbeddedPostgresError):
    """The server ended while it started; another attempt may succeed.

    The children of a killed server hold its shared memory for a moment.
    """


class EmbeddedPostgres:
    """Supervises one Postgres server, from the binaries in the `embedded-postgres` package.

    Args:
        data_dir: the cluster's folder; created when missing. Beside it appear `<name>.log` and
            `<name>.lock`. A log line says so when the data must live elsewhere.
        database: created when missing.
        durable: False is faster and loses data in a crash; for tests.
        start_timeout_seconds: for all of `start`, crash recovery included.
        announce: called with each step of `start`, and the folder that holds the data.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        database: str = "gateway",
        durable: bool = True,
        start_timeout_seconds: float = 60.0,
        announce: Callable[[EmbeddedStep, Path], None] = lambda _step, _data: None,
    ) -> None:
        self._data_dir = data_dir
        self._database = database
        self._durable = durable
        self._start_timeout_seconds = start_timeout_seconds
        self._announce = announce
        self._site: Site | None = None
        self._address: ServerAddress | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Returns the libpq URL, which stays the same when the server is restarted.

        Raises:
            EmbeddedPostgresError: not started.
        """
        if self._address is None:
            raise EmbeddedPostgresError("Postgres has no address yet: await start() first.")
        return self._address.url(self._database)

    async def start(self) -> None:
        """Returns when the database answers; leaves no process behind when it fails.

        Raises:
            EmbeddedPostgresError: the server cannot start; says why and how to cure it.
        """
        try:
            async with asyncio.timeout(self._start_timeout_seconds):
                await self._start()
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise self._too_slow() from error
            if isinstance(error, OSError | psycopg.Error):
                raise EmbeddedPostgresError(
                    f"Postgres cannot use {self._data_dir}: {error}. Choose a folder that this "
                    "user may create, on a local disk with free space."
                ) from error
            raise

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Starts the server again each time it ends; shuts it down when *stopping* is set."""
        try:
            async with asyncio.TaskGroup() as tasks:
                supervision = tasks.create_task(self._supervise())
                await stopping.wait()
                supervision.cancel()
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Shuts down the server that this process spawned; `run_until` calls it at its end."""
        process, self._process = self._process, None
        if process is None:
            return
        for shutdown, patience_seconds in (
            ("INT", FAST_SHUTDOWN_SECONDS),
            ("QUIT", IMMEDIATE_SHUTDOWN_SECONDS),
        ):
            self._send(process, shutdown)
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_seconds):
                    await _exit_status(process)
                    break
        else:
            process.kill()
            await _exit_status(process)
        self._remove_socket_folder()

    async def _start(self) -> None:
        if self._site is None:
            if not await asyncio.to_thread(holds_cluster, self._data_dir):
                self._announce(EmbeddedStep.SETTING_UP, self._data_dir)
            self._site = await asyncio.to_thread(find_site, self._data_dir)
        site = self._site
        async with only_process(site.lock_file):
            if not is_cluster(site.data):
                await self._create_cluster(site)
            await self._adopt_or_spawn(site)

    async def _create_cluster(self, site: Site) -> None:
        # initdb writes PG_VERSION early, so an interrupted one would look like a cluster. It works
        # in another folder, and a complete cluster is moved into place.
        partial = site.data.with_name(f"{site.data.name}.partial")
        await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
        site.make_private(partial)
        initdb = site.spawn(
            "initdb",
            *("--pgdata", str(partial), "--username", "postgres", "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(() if self._durable else ("--no-sync",)),
        )
        try:
            status = await _exit_status(initdb)
        except BaseException:
            _kill_group(initdb)
            raise
        if status != 0:
            raise EmbeddedPostgresError(
                site.disk_full_cure()
                or f"Postgres could not create a cluster in {site.data}; correct this and start "
                f"again:\n{site.last_words()}"
            )
        await asyncio.to_thread(_move, partial, site.data)
        if self._durable and sys.platform != "win32":
            # A power cut must not undo the move once rows are committed.
            await asyncio.to_thread(os.sync)

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(EndedWhileStartingError),
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_fixed(0.5),
        reraise=True,
    )
    async def _adopt_or_spawn(self, site: Site) -> None:
        while found := await asyncio.to_thread(live_postmaster, site.data):
            if found.address:
                self._address = found.address
                with suppress(psycopg.OperationalError):  # the server may be shutting down
                    await asyncio.to_thread(self._create_database, found.address)
                    self._announce(EmbeddedStep.ADOPTED, site.data)
                    return
            await asyncio.sleep(POLL_SECONDS)
        self._announce(EmbeddedStep.STARTING, site.data)
        self._address = self._address or ServerAddress.choose(site)
        await self._spawn(site, self._address)
        await asyncio.to_thread(self._create_database, self._address)

    async def _spawn(self, site: Site, address: ServerAddress) -> None:
        clear_the_way(site, address)
        if self._process:  # it has ended, and stays a zombie until its status is read
            await _exit_status(self._process)
        durability = dict.fromkeys(DURABILITY_SETTINGS, "on" if self._durable else "off")
        settings = SETTINGS | durability | address.settings()
        process = self._process = site.spawn(
            "postgres",
            *("-D", str(site.data), "-p", str(address.port)),
            *(f"--{name}={value}" for name, value in settings.items()),
        )
        while read_postmaster(site.data) != (process.pid, address):
            if process.poll() is not None:
                self._process = None
                raise EndedWhileStartingError(
                    site.disk_full_cure()
                    or "Postgres ended while starting; correct this and start again:\n"
                    + site.last_words()
                )
            await asyncio.sleep(POLL_SECONDS)

    def _create_database(self, address: ServerAddress) -> None:
        url = address.url("postgres")
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            known = "SELECT FROM pg_database WHERE datname = %s"
            name = sql.Identifier(self._database)
            if connection.execute(known, [self._database]).rowcount == 0:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
            # The detail of an error quotes the row that was refused. Of the server's own errors,
            # such as those of its start, the log needs it.
            terse = sql.SQL("ALTER DATABASE {} SET log_error_verbosity = 'terse'")
            connection.execute(terse.format(name))

    async def _supervise(self) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            began_at = time.monotonic()
            await self._end_of_server()
            if time.monotonic() - began_at > STEADY_SECONDS:
                pause_seconds = FIRST_PAUSE_SECONDS
            log.warning("Postgres ended; starting it again in %.1f seconds", pause_seconds)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, MAX_PAUSE_SECONDS)
            try:
                await self.start()
            except EmbeddedPostgresError:
                log.exception("Postgres did not start again")

    async def _end_of_server(self) -> None:
        if self._process:
            await _exit_status(self._process)
            self._process = None
        elif self._site:
            await _end_of_adopted(self._site.data)

    def _send(self, process: subprocess.Popen[bytes], name: str) -> None:
        if sys.platform == "win32" and self._site:  # Windows has no signals; pg_ctl emulates them
            self._site.spawn("pg_ctl", "kill", name, str(process.pid)).wait()
        else:
            process.send_signal(getattr(signal, f"SIG{name}"))

    def _remove_socket_folder(self) -> None:
        sockets = self._address and self._address.socket_folder
        if sockets and self._site and sockets != self._site.data:
            with suppress(OSError):
                sockets.rmdir()

    def _too_slow(self) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"Postgres was not ready after {self._start_timeout_seconds:g} seconds. If its log "
            "shows a recovery, allow more time; if another process holds the folder, end that "
            f"process:\n{self._site.last_words() if self._site else ''}"
        )


async def _exit_status(process: subprocess.Popen[bytes]) -> int:
    # A Popen belongs to no event loop: it works with uvloop, and outlives asyncio.run().
    while (status := process.poll()) is None:  # noqa: ASYNC110 - a Popen sets no Event
        await asyncio.sleep(POLL_SECONDS)
    return status


async def _end_of_adopted(data: Path) -> None:
    # Another process is the parent of this server, so no wait() reports its end.
    while await asyncio.to_thread(live_postmaster, data):  # noqa: ASYNC110 - see above
        await asyncio.sleep(ADOPTED_POLL_SECONDS)


def _move(partial: Path, data: Path) -> None:
    with suppress(FileNotFoundError):
        data.rmdir()  # fails where the folder holds anything
    partial.rename(data)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
