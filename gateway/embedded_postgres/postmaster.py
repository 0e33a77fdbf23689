"""Reads what a Postgres server writes into its folders, and removes its stale locks."""

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import quote

from psycopg.pq import PGconn, Ping

from gateway.embedded_postgres.cluster_site import Site

POLL_SECONDS = 0.05
SOCKET_PATH_BYTES = 100  # macOS allows 103, Linux 107
SOCKET_PORT = 5432  # only part of the socket's name
STATUS_LINE, PORT_LINE, SOCKETS_LINE, HOST_LINE = 7, 3, 4, 5  # of postmaster.pid, from 0


class ServerAddress(NamedTuple):
    """The folder of a Unix socket, or a host name; and a port."""

    host: str
    port: int

    @classmethod
    def choose(cls, site: Site) -> "ServerAddress":
        if sys.platform == "win32":
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                return cls("127.0.0.1", free.getsockname()[1])
        path = os.fsencode(site.data / f".s.PGSQL.{SOCKET_PORT}")
        # A client splits the host at a comma; the server ends the name at a quote.
        if len(path) <= SOCKET_PATH_BYTES and not set(path) & set(b',"'):
            return cls(str(site.data), SOCKET_PORT)
        token = secrets.token_hex(8)  # another user cannot guess the name and create it first
        return cls(f"/tmp/gateway-pg-{token}", SOCKET_PORT)  # noqa: S108 - short, see above

    @property
    def socket_folder(self) -> Path | None:
        folder = Path(self.host)
        return folder if folder.is_absolute() else None

    def url(self, database: str) -> str:
        host, name = quote(self.host, safe=""), quote(database, safe="")
        return f"postgresql:///{name}?user=postgres&host={host}&port={self.port}"

    def settings(self) -> dict[str, str]:
        if self.socket_folder is None:
            return {"listen_addresses": self.host, "unix_socket_directories": ""}
        return {"listen_addresses": "", "unix_socket_directories": f'"{self.host}"'}


class Postmaster(NamedTuple):
    """A server as its postmaster.pid describes it; *address* is None until it is ready."""

    pid: int
    address: ServerAddress | None

    def is_alive(self) -> bool:
        if sys.platform != "linux":
            if self.address is None:
                return False
            return PGconn.ping(self.address.url("postgres").encode()) != Ping.NO_RESPONSE
        # kill(pid, 0) also succeeds for a zombie, and for another program with the same number.
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        name, _, state = status.partition("(")[2].rpartition(") ")
        return name == "postgres" and state[0] not in "ZX"


def read_postmaster(data: Path) -> Postmaster | None:
    with suppress(OSError, ValueError, IndexError):
        lines = [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
        address = None
        if lines[STATUS_LINE:] == ["ready"]:
            address = ServerAddress(lines[SOCKETS_LINE] or lines[HOST_LINE], int(lines[PORT_LINE]))
        return Postmaster(int(lines[0]), address)
    return None


def live_postmaster(data: Path) -> Postmaster | None:
    found = read_postmaster(data)
    return found if found and found.is_alive() else None


def clear_the_way(site: Site, address: ServerAddress) -> None:
    """Creates the socket's folder, and removes the locks of a server known to be dead.

    Postgres takes any process that has the number in a lock file for a live server, so a stale lock
    would stop the start. Where children of a dead server still run, Postgres finds their shared
    memory without a lock file, and refuses to start.
    """
    sockets = address.socket_folder
    if sockets is None:
        return
    if not sockets.exists():
        site.make_private(sockets)
    if sys.platform == "linux":  # elsewhere a server that does not answer may still be alive
        for leftover in (site.data / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
            leftover.unlink(missing_ok=True)


@asynccontextmanager
async def only_process(lock_file: Path) -> AsyncIterator[None]:
    """Keeps other processes out for a block; the kernel frees the lock of a killed process."""
    with _open(lock_file) as file:
        while not _try_lock(file):  # noqa: ASYNC110 - no Event crosses processes
            await asyncio.sleep(POLL_SECONDS)
        yield


def _open(lock_file: Path) -> IO[bytes]:
    return lock_file.open("ab")


def _try_lock(file: IO[bytes]) -> bool:
    with suppress(OSError):
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - exists on Windows only

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - exists on POSIX only

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
