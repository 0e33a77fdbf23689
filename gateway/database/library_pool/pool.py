"""Where clients of the library connect: a Unix socket, and a ticket for each client.

admit() --URL with a ticket--> the library's driver
                                    | socket
                                    v
                               LibraryClient --> Statements --> Database --> Postgres
"""

import asyncio
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

from gateway.clock import Clock
from gateway.database.library_pool import wire
from gateway.database.library_pool.client import LibraryClient
from gateway.database.library_pool.deferral import Deferral, DeferredStatements
from gateway.database.library_pool.memory import AnswerMemory, RepeatedStatements
from gateway.database.library_pool.statements import SchemaEntries, Statements
from gateway.database.library_pool.wire import ClientRequest
from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable
from gateway.observability.error_reports import report_error

_SOCKET = ".s.PGSQL.5432"
_PREFIX = "library-pool-"
_MAX_PATH_BYTES = 100  # the kernel takes 107
_TICKET_BYTES = 24
_IDLE_SECONDS = 10.0
_READ_BYTES = 4_096
_PAUSE_SECONDS = 0.2


def _new_ticket() -> str:
    return secrets.token_hex(_TICKET_BYTES)


class DeferredWritesRefused(Exception):
    """Postgres refused what was held back: another node has the lease."""


@dataclass(eq=False, slots=True)
class _Ticket:
    """Admits the connections of one client of the library, until it is revoked."""

    entries: SchemaEntries
    memory: AnswerMemory
    database: Database
    deferral: Deferral
    connections: dict[LibraryClient, asyncio.Task[None]] = field(default_factory=dict)
    is_revoked: bool = False

    async def revoke(self) -> None:
        """Ends the connections; returns when no statement of theirs runs any more."""
        self.is_revoked = True
        for client, task in self.connections.items():
            client.is_revoked = True
            if not client.is_running:  # otherwise what it did must be known
                task.cancel()
        if self.connections:
            await asyncio.wait(list(self.connections.values()))
        await self.deferral.drop()


class PostgresLibraryPool:
    """Lets many clients of a library share a few connections to Postgres."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        schema: str,
        folder: Path,
        prepare: bool,
        repeated: RepeatedStatements | None = None,
        deferred: Sequence[DeferredStatements] = (),
        idle_seconds: float = _IDLE_SECONDS,
        new_ticket: Callable[[], str] = _new_ticket,
    ) -> None:
        """Creates it; it listens in `run_until`.

        Args:
            database: the connections that the clients share; it runs in `run_until`, too.
            clock: time.
            schema: where the library's tables are.
            folder: below which the socket is, if its path is short enough.
            prepare: False behind a transaction pooler.
            repeated: what the client of an instance is answered without Postgres.
            deferred: writes that are held back while the client of an instance receives a message.
            idle_seconds: how long a transaction, which locks a lease, may stay idle.
            new_ticket: makes a name that cannot be guessed.
        """
        self._database, self._clock, self._schema = database, clock, schema
        self._folder, self._new_ticket = folder, new_ticket
        self._repeated, self._deferred = repeated, deferred
        self._statements = Statements(prepare=prepare)
        self._entries = partial(SchemaEntries, schema, idle_seconds=idle_seconds)
        self._tickets: dict[str, _Ticket] = {}
        self._names: dict[str, str] = {}
        self._address: asyncio.Future[Path] | None = None
        self._tasks = asyncio.TaskGroup()

    @property
    def stats(self) -> Mapping[str, int]:
        """The statistics of the connections to Postgres."""
        return self._database.pool.get_stats()

    async def run_until(self, stopping: asyncio.Event) -> None:
        folder = _socket_folder(self._folder)
        await self._database.open()
        try:
            async with self._tasks:
                listener = socket.socket(socket.AF_UNIX)
                listener.bind(str(folder / _SOCKET))
                async with await asyncio.start_unix_server(self._accept, sock=listener):
                    self._listening().set_result(folder)
                    await stopping.wait()
                for name in list(self._tickets):
                    await self._revoke(name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            await self._database.pool.close()

    async def admit(self, instance_id: str, epoch: int) -> str:
        """Returns a URL of Postgres for the client of an instance; ends those of the one before."""
        await self.dismiss(instance_id)
        name = self._names[instance_id] = self._new_ticket()
        self._tickets[name] = self._ticket(
            self._entries(instance_id, epoch), AnswerMemory(self._repeated)
        )
        return await self._url(name)

    async def admit_visitor(self) -> str:
        """Returns a URL of Postgres for a client that serves no instance."""
        name = self._new_ticket()
        self._tickets[name] = self._ticket(self._entries(None, 0), AnswerMemory(None))
        return await self._url(name)

    async def defer(self, instance_id: str) -> None:
        """Holds back the keys of a message that the client is about to decrypt."""
        if ticket := self._ticket_of_instance(instance_id):
            await ticket.deferral.begin()

    async def release(self, instance_id: str) -> None:
        """Writes what is held back for the client; its message is stored."""
        if ticket := self._ticket_of_instance(instance_id):
            await ticket.deferral.release()

    async def released(self, instance_id: str) -> None:
        """Returns when nothing is held back for the client."""
        if ticket := self._ticket_of_instance(instance_id):
            await ticket.deferral.released()

    def _ticket_of_instance(self, instance_id: str) -> _Ticket | None:
        return self._tickets.get(self._names.get(instance_id, ""))

    def _ticket(self, entries: SchemaEntries, memory: AnswerMemory) -> _Ticket:
        async def run(requests: Sequence[ClientRequest]) -> None:
            await self._run_deferred(ticket, requests)

        deferral = Deferral(self._deferred, self._clock, run)
        ticket = _Ticket(entries, memory, self._database_of_one(), deferral)
        return ticket

    async def _run_deferred(self, ticket: _Ticket, requests: Sequence[ClientRequest]) -> None:
        """Runs the statements until they are committed, or the ticket is revoked."""
        while not ticket.is_revoked:
            try:
                # Not on the connections of this client: all of them may wait for this.
                async with self._database.connection() as connection:
                    results = await self._statements.run_together(
                        connection, requests, ticket.entries.of_transaction
                    )
            except DatabaseUnavailable as error:
                if error.closed:
                    raise
                await self._clock.sleep(_PAUSE_SECONDS)
                continue
            if wire.is_error(results):
                raise DeferredWritesRefused(results[0].error_message)
            return

    def _database_of_one(self) -> Database:
        """Returns the database for one client, which leaves a connection to the others.

        What people send to a session may make it run a thousand statements at once.
        """
        return self._database.limited_to(max(1, self._database.pool.max_size - 1))

    async def dismiss(self, instance_id: str) -> None:
        if name := self._names.pop(instance_id, None):
            await self._revoke(name)

    async def _revoke(self, name: str) -> None:
        if ticket := self._tickets.pop(name, None):
            await ticket.revoke()

    def _listening(self) -> asyncio.Future[Path]:
        if self._address is None:
            self._address = asyncio.get_running_loop().create_future()
        return self._address

    async def _url(self, name: str) -> str:
        folder = await asyncio.shield(self._listening())
        parameters = {
            "host": str(folder),
            "port": _SOCKET.rpartition(".")[2],
            "user": name,
            "dbname": self._schema,
            "sslmode": "disable",  # it is a Unix socket
            "binary_parameters": "yes",  # one round trip for a statement, instead of two
        }
        return f"postgresql:///?{urlencode(parameters, quote_via=quote)}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.create_task(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            messages = wire.Messages()
            if ticket := await self._ticket_of(messages, reader, writer):
                await self._serve_client(ticket, messages, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the library went, or its ticket
        except Exception as error:  # noqa: BLE001 - one client must not end the others
            report_error(error, component="library pool")
        finally:
            writer.close()

    async def _serve_client(
        self,
        ticket: _Ticket,
        messages: wire.Messages,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        task = asyncio.current_task()
        assert task
        client = LibraryClient(
            messages,
            reader,
            writer,
            entries=ticket.entries,
            memory=ticket.memory,
            deferral=ticket.deferral,
            database=ticket.database,
            statements=self._statements,
            clock=self._clock,
        )
        ticket.connections[client] = task
        try:
            await client.serve()
        finally:
            del ticket.connections[client]

    async def _ticket_of(
        self, messages: wire.Messages, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> _Ticket | None:
        """Returns the ticket that a client shows as its user name."""
        while data := await reader.read(_READ_BYTES):
            messages.feed(data)
            if (first := messages.first()) is None:
                continue
            code = int.from_bytes(first[:4])
            if code in {wire.SSL_REQUEST, wire.GSS_REQUEST}:
                writer.write(wire.NO_ENCRYPTION)
                continue
            if code == wire.CANCEL_REQUEST:  # the library closes the connection, too
                return None
            if ticket := self._tickets.get(wire.startup_parameters(first).get("user", "")):
                return ticket
            writer.write(wire.error("28000", "The session of this connection is closed"))
            return None
        return None


def _socket_folder(parent: Path) -> Path:
    """Returns a new folder that only this user may enter, with a path that fits a socket's name.

    Folders of processes that were killed are deleted.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in parent.glob(f"{_PREFIX}*"):
        if not _is_served(left / _SOCKET):
            shutil.rmtree(left, ignore_errors=True)
    is_short = len(str(parent / f"{_PREFIX}12345678" / _SOCKET)) <= _MAX_PATH_BYTES
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent if is_short else None))


def _is_served(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(path))
        return True
    return False
