"""One connection of the library: reads its messages, and keeps track of its transaction.

    startup -> idle --statement--> takes a connection of the pool for this statement alone
                 |
                 +--BEGIN--> answered here --first statement--> takes one until the transaction ends

The answer to a statement leaves after Postgres has committed it, or has run it in its transaction.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from psycopg import AsyncConnection
from psycopg.pq.abc import PGresult

from gateway.clock import Clock
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.library_pool import wire
from gateway.database.library_pool.deferral import Deferral
from gateway.database.library_pool.memory import AnswerMemory
from gateway.database.library_pool.statements import (
    SchemaEntries,
    SchemaEntry,
    Statements,
    may_repeat,
)
from gateway.database.library_pool.wire import ClientRequest
from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable

_BEGIN, _COMMIT, _ROLLBACK = b"BEGIN", b"COMMIT", b"ROLLBACK"
_CONNECTION_FAILURE, _NOT_SUPPORTED, _ABORTED = "08006", "0A000", "25P02"
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.2
_READ_BYTES: Final = 65_536


class LibraryClient:
    """Serves one connection of the library until that ends."""

    def __init__(
        self,
        messages: wire.Messages,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        entries: SchemaEntries,
        memory: AnswerMemory,
        deferral: Deferral,
        database: Database,
        statements: Statements,
        clock: Clock,
    ) -> None:
        self._messages, self._reader, self._writer = messages, reader, writer
        self._entries, self._memory, self._deferral = entries, memory, deferral
        self._database, self._statements = database, statements
        self._clock = clock
        self.is_running = False
        """Whether a statement is at Postgres, which may have committed it."""
        self.is_revoked = False
        self._changes_keys = False

    async def serve(self) -> None:
        self._writer.write(wire.greeting())
        requests = self._requests()
        async for request in requests:
            if request.sql.upper().startswith(_BEGIN):
                self._reply(wire.complete(_BEGIN), wire.IN_TRANSACTION)
                await self._serve_transaction(requests)
            else:
                await self._serve_statement(request)

    async def _serve_statement(self, request: ClientRequest) -> None:
        answer = self._deferral.answer(request) or self._memory.answer(request)
        if answer is None:
            await self._deferral.wait_for(request)
            answer = await self._answer_of_postgres(request)
        self._reply(answer, wire.IDLE)

    async def _answer_of_postgres(self, request: ClientRequest) -> bytes:
        begun, committed = self._memory.begin(request), None
        try:
            results = await self._run_patiently(request)
            answer = _replies(request, results)
            committed = None if wire.is_error(results) else answer
        except DatabaseUnavailable as error:
            answer = wire.error(_CONNECTION_FAILURE, str(error))
        finally:
            self._memory.end(request, begun, committed)
        return answer

    async def _run_patiently(self, request: ClientRequest) -> list[PGresult]:
        """Runs the statement, again if its connection is lost and it may be repeated.

        The library would take an error for a message that cannot be decrypted.
        """
        give_up_at = self._clock.monotonic_seconds() + _PATIENCE_SECONDS
        while True:
            try:
                async with self._database.connection() as connection:
                    return await self._run(connection, request, self._entries.of(request))
            except DatabaseUnavailable:
                is_over = self._clock.monotonic_seconds() >= give_up_at
                if is_over or not may_repeat(request.sql):
                    raise
                await self._clock.sleep(_PAUSE_SECONDS)

    async def _serve_transaction(self, requests: AsyncIterator[ClientRequest]) -> None:
        """Serves a transaction that the library was shown has begun, until its end."""
        async for first in requests:
            if _ends_transaction(first):
                self._reply(wire.complete(first.sql.upper()), wire.IDLE)
                return
            await self._deferral.wait_for(first)
            try:
                await self._serve_begun(first, requests)
            except DatabaseUnavailable as error:
                self._reply(wire.error(_CONNECTION_FAILURE, str(error)), wire.IN_FAILED_TRANSACTION)
                await self._serve_failed(requests)
            return

    async def _serve_begun(
        self, first: ClientRequest, requests: AsyncIterator[ClientRequest]
    ) -> None:
        database = self._database.within(DatabaseDeadline.LIBRARY_TRANSACTION)
        self._changes_keys = False
        async with database.connection() as connection:
            try:
                ended = await self._serve_on(connection, first, requests)
            except BaseException:
                await connection.close()  # and with it the transaction
                raise
            finally:
                if self._changes_keys:
                    self._memory.drop()
            if not ended:
                await connection.rollback()

    async def _serve_on(
        self,
        connection: AsyncConnection,
        first: ClientRequest,
        requests: AsyncIterator[ClientRequest],
    ) -> bool:
        """Serves a transaction; returns whether the library ended it."""
        self._note(first)
        results = await self._run(connection, first, self._entries.of_transaction, begin=True)
        status = _status_after(results)
        self._reply(_replies(first, results), status)
        async for request in requests:
            self._note(request)
            self._deferral.note(request)
            results = await self._run(connection, request)
            if _ends_transaction(request):
                self._reply(_replies(request, results), wire.IDLE)
                return True
            if wire.is_error(results):
                status = wire.IN_FAILED_TRANSACTION
            self._reply(_replies(request, results), status)
        return False

    def _note(self, request: ClientRequest) -> None:
        """Drops remembered answers that a statement of the transaction may change."""
        if self._memory.concerns(request):
            self._changes_keys = True
            self._memory.drop()

    async def _serve_failed(self, requests: AsyncIterator[ClientRequest]) -> None:
        """Refuses every statement until the library ends the transaction that is lost."""
        async for request in requests:
            if _ends_transaction(request):
                self._reply(wire.complete(_ROLLBACK), wire.IDLE)
                return
            self._reply(wire.error(_ABORTED, "the transaction is lost"), wire.IN_FAILED_TRANSACTION)

    async def _run(
        self,
        connection: AsyncConnection,
        request: ClientRequest,
        entry: SchemaEntry | None = None,
        *,
        begin: bool = False,
    ) -> list[PGresult]:
        if self.is_revoked:
            raise asyncio.CancelledError
        self.is_running = True
        try:
            return await self._statements.run(connection, request, entry, begin=begin)
        finally:
            self.is_running = False

    def _reply(self, messages: bytes, status: bytes) -> None:
        self._writer.write(messages + wire.ready(status))

    async def _requests(self) -> AsyncIterator[ClientRequest]:
        """Yields what the library wants to have run, until it goes."""
        requests = wire.ClientRequests(self._messages)
        while not requests.is_over and (data := await self._reader.read(_READ_BYTES)):
            for request in requests.feed(data):
                yield request


def _ends_transaction(request: ClientRequest) -> bool:
    return request.bound is None and request.sql.upper() in {_COMMIT, _ROLLBACK}


def _status_after(results: list[PGresult]) -> bytes:
    return wire.IN_FAILED_TRANSACTION if wire.is_error(results) else wire.IN_TRANSACTION


def _replies(request: ClientRequest, results: list[PGresult]) -> bytes:
    if request.bound is None:
        return b"".join(wire.result(each, described=False) for each in results)
    if wire.is_error(results):
        return wire.result(results[0], described=True)
    return wire.PARSE_AND_BIND_COMPLETE + wire.result(results[0], described=True)
