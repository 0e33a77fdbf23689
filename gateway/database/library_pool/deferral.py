"""Holds back what a client writes as it receives a message, until the message is stored.

begin() --> a write is answered at once and held --release()--> Postgres
            a read of its row is answered from it
            another statement on its table waits for the release

A client that ends before the release leaves its rows as if it had received nothing. So it can
decrypt the message again when WhatsApp repeats it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.database.library_pool import wire
from gateway.database.library_pool.memory import normal
from gateway.database.library_pool.wire import Bound, ClientRequest

# Nothing that waits for the release of a message is needed for it, as far as is known.
_PATIENCE_SECONDS: Final = 2.0

_Key = tuple[bytes | None, ...]
_BINARY = 1


@dataclass(frozen=True, slots=True)
class DeferredStatements:
    """A write that can be held back.

    Attributes:
        write: an upsert, whose parameters are the key of the row and one value; without a `read`,
            a deletion, whose parameters are the key.
        read: reads the value; its parameters are the key.
        column: the value's name, which has the type bytea.
        table: other statements that contain this name wait for the release.
    """

    write: bytes
    read: bytes
    column: bytes
    table: bytes

    @classmethod
    def of(cls, deferred: Mapping[str, str]) -> "DeferredStatements":
        """Returns the statements in *deferred*, which has the names of the attributes, or some."""
        write, read = (normal(deferred.get(name, "").encode()) for name in ("write", "read"))
        column, table = (deferred.get(name, "").encode() for name in ("column", "table"))
        return cls(write, read, column, table)


_Write = tuple[DeferredStatements, _Key]


class Deferral:
    """The writes of one client that are held back; shared by its connections."""

    def __init__(
        self,
        deferred: Sequence[DeferredStatements],
        clock: Clock,
        run: Callable[[Sequence[ClientRequest]], Awaitable[None]],
    ) -> None:
        """Creates it; *run* runs statements in one transaction."""
        self._of_write = {each.write: each for each in deferred}
        self._of_read = {each.read: each for each in deferred if each.read}
        self._tables = [each.table for each in deferred if each.table]
        self._clock, self._run = clock, run
        self._held: dict[_Write, ClientRequest] = {}
        self._holds = False
        self._releasing = asyncio.Lock()
        self._released = asyncio.Event()
        self._released.set()
        self._is_dropped = False

    async def begin(self) -> None:
        """Holds back writes from now on."""
        await self.release()
        self._released.clear()
        self._holds = True

    async def release(self) -> None:
        """Writes what is held, and holds back nothing more; raises what running it raises."""
        async with self._releasing:
            self._holds = False
            if self._held and not self._is_dropped:
                await self._run(list(self._held.values()))
            self._held.clear()
            self._released.set()

    async def released(self) -> None:
        """Returns when nothing is held any more; releases itself after a while."""
        if not await self._clock.wait(self._released, _PATIENCE_SECONDS):
            await self.release()

    async def drop(self) -> None:
        """Drops what is held; returns when no release runs any more."""
        self._is_dropped = True
        async with self._releasing:
            self._held.clear()
            self._released.set()

    def answer(self, request: ClientRequest) -> bytes | None:
        """Returns the answer to a write that is held, or to the read of its row; None to others."""
        if self._released.is_set() or request.bound is None:
            return None
        sql, values = normal(request.sql), request.bound.values
        if (deferred := self._of_read.get(sql)) and (held := self._held.get((deferred, values))):
            return wire.bytea(deferred.column, _value_of(held))
        if self._holds and (deferred := self._of_write.get(sql)):
            self._held[deferred, _key_of(deferred, values)] = request
            return wire.changed(b"INSERT 0 1" if deferred.read else b"DELETE 1")
        return None

    async def wait_for(self, request: ClientRequest) -> None:
        """Returns when the statement may run: it must not overtake a write that is held."""
        if self._held and self._concerns(request):
            await self.released()

    def note(self, request: ClientRequest) -> None:
        """Notes a later statement of a transaction: it must not wait, and is newer."""
        if self._held and request.bound and (found := self._of_write.get(normal(request.sql))):
            self._held.pop((found, _key_of(found, request.bound.values)), None)

    def _concerns(self, request: ClientRequest) -> bool:
        return normal(request.sql) not in self._of_read and any(
            table in request.sql for table in self._tables
        )


def _key_of(deferred: DeferredStatements, values: _Key) -> _Key:
    return values[:-1] if deferred.read else values


def _value_of(request: ClientRequest) -> bytes:
    """Returns the value of an upsert in the form of a result: bytea as hexadecimal digits."""
    bound = request.bound or Bound()
    value = bound.values[-1] or b""
    is_binary = bound.formats is not None and bound.formats[-1] == _BINARY
    return b"\\x" + value.hex().encode() if is_binary else value
