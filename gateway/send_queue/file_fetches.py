"""Fetches the files of messages before their turn, and parks messages whose file does not come.

When a message enters the next few places of its queue, its file is fetched, so that the fetch and
the pauses before it overlap. A claimed message whose file is not ready is parked: other chats pass
it, its fetch goes on, and its end wakes the worker.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from gateway.account_turns import AccountTurns
from gateway.batching import Batch
from gateway.clock import Clock
from gateway.contract.catalogue import catalogue
from gateway.contract.send import OutgoingMessage
from gateway.database.payload_seal import Unopened
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.instances.store import Instance
from gateway.media.preparing import NOT_NEEDED, Preparer, Preparing
from gateway.periodic_loop import PeriodicLoop
from gateway.send_queue.claim_cursor import ClaimCursor, ClaimedMessage, positions_of
from gateway.send_queue.order import MAX_PARKED, QueueOrder
from gateway.send_queue.stored_message import decode

_FIND_NEXT = query("send_queue", "find_next")
_FIND_LIVE = query("send_queue", "find_live")
_PARK_FOR_FILE = query("send_queue", "park_for_file")

_MAX_AHEAD: Final = 4
"""Messages of one queue whose files are fetched before their turn; also the places looked at."""
_MAX_AHEAD_OF_NODE: Final = 64
_MAX_AHEAD_BESIDE_OTHERS: Final = 16
_LOOK_SECONDS = 2.0
_MAX_AHEAD_SECONDS = 300.0
_MAX_PARKED_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Next:
    instance_id: str
    id: int
    type: str
    version: int
    payload: Mapping[str, Any] | Unopened


@dataclass(frozen=True, slots=True)
class _Row:
    instance_id: str
    id: int


@dataclass(slots=True)
class _Fetch:
    """The files of one message; the stack deletes them."""

    stack: AsyncExitStack
    preparing: Preparing
    began: float
    is_claimed: bool = False
    is_parked: bool = False

    @property
    def is_ahead(self) -> bool:
        return not self.is_claimed and not self.is_parked


class FileFetches:
    """The fetches of all queues of this process."""

    def __init__(
        self,
        database: Database,
        preparer: Preparer,
        clock: Clock,
        *,
        order: QueueOrder = "chat",
        turns: AccountTurns | None = None,
    ) -> None:
        """Prepares the fetches.

        Args:
            database: has the queues.
            preparer: fetches and converts files.
            clock: time.
            order: of queues without an order of their own.
            turns: are taken for each statement.
        """
        self.turns = turns or AccountTurns()
        self.database, self.preparer, self.clock, self.order = database, preparer, clock, order
        self._queues: set[QueueFetches] = set()
        self._next = Batch[ClaimCursor, Sequence[_Next]](self._find_next)
        self._loop = PeriodicLoop("file_fetches", self._withdraw, clock)
        self._looks = False

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._next.run_until(stopping))
            group.create_task(self._loop.run_until(stopping))

    def of_queue(
        self, instance: Instance, cursor: ClaimCursor, wakeup: asyncio.Event
    ) -> "QueueFetches":
        """Returns the fetches of one worker, which must enter them."""
        return QueueFetches(self, instance, cursor, wakeup)

    def enter(self, queue: "QueueFetches") -> None:
        self._queues.add(queue)

    def leave(self, queue: "QueueFetches") -> None:
        self._queues.discard(queue)

    def look(self) -> None:
        """A fetch began, or its message waits: it may be canceled. Looks now and then."""
        if not self._looks:
            self._looks = True
            self._loop.wake()

    async def find_next(self, cursor: ClaimCursor) -> Sequence[_Next]:
        return await self._next.submit(cursor)

    def may_begin(self, account_id: str) -> bool:
        """Says whether this process may fetch another file of the account before its turn."""
        ahead = Counter[str]()
        for queue in self._queues:
            ahead[queue.account_id] += queue.count_ahead()
        is_beside_others = self.turns.has_company(account_id)
        share = _MAX_AHEAD_BESIDE_OTHERS if is_beside_others else _MAX_AHEAD_OF_NODE
        return ahead[account_id] < share and ahead.total() < _MAX_AHEAD_OF_NODE

    async def _find_next(self, cursors: list[ClaimCursor]) -> Sequence[Sequence[_Next]]:
        found: dict[str, list[_Next]] = {}
        for row in await self.database.fetch_all(
            _Next,
            _FIND_NEXT,
            instance_ids=[cursor.instance_id for cursor in cursors],
            epochs=[cursor.epoch for cursor in cursors],
            **positions_of(cursors),
            default_order=self.order,
            max_count=_MAX_AHEAD,
            types=[name for name, send in catalogue().sends.items() if send.carries_media],
        ):
            found.setdefault(row.instance_id, []).append(row)
        return [found.get(cursor.instance_id, []) for cursor in cursors]

    async def _withdraw(self) -> float | None:
        """Ends the fetches of messages that are no longer to be sent."""
        held = [(queue, row_id) for queue in self._queues for row_id in queue.waiting_ids()]
        if not held:
            self._looks = False
            return None
        rows = await self.database.fetch_all(
            _Row,
            _FIND_LIVE,
            instance_ids=[queue.instance_id for queue, _ in held],
            ids=[row_id for _, row_id in held],
        )
        live = {row.id for row in rows}
        for queue, row_id in held:
            await queue.withdraw(row_id, is_live=row_id in live)
        return _LOOK_SECONDS


class QueueFetches:
    """The fetches of one worker; they end with it."""

    def __init__(
        self, node: FileFetches, instance: Instance, cursor: ClaimCursor, wakeup: asyncio.Event
    ) -> None:
        self.instance_id, self.account_id = instance.id, instance.account_id
        self._node = node
        self._cursor, self._wakeup = cursor, wakeup
        self._held: dict[int, _Fetch] = {}

    async def __aenter__(self) -> Self:
        self._node.enter(self)
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._node.leave(self)
        for row_id in list(self._held):
            await self._end(row_id)

    @asynccontextmanager
    async def files_of(
        self, row: ClaimedMessage, message: OutgoingMessage
    ) -> AsyncIterator[Preparing]:
        """Gives the files of a claimed message; they are deleted after it, unless it was parked."""
        if not self._node.preparer.needs_files(message):
            yield NOT_NEEDED
            return
        fetch = self._held.get(row.id)
        if fetch and fetch.is_ahead and fetch.preparing.has_failed:
            await self._end(row.id)  # no attempt counts for a failure before the turn
            fetch = None
        fetch = fetch or await self._begin(row.id, message)
        fetch.is_claimed, fetch.is_parked = True, False
        try:
            yield fetch.preparing
        finally:
            fetch.is_claimed = False
            if not fetch.is_parked:
                await self._end(row.id)

    def seconds_of(self, row: ClaimedMessage) -> float:
        """Returns how long the files of a claimed message have been fetched."""
        return self._node.clock.monotonic_seconds() - self._held[row.id].began

    def is_parked(self, row: ClaimedMessage) -> bool:
        fetch = self._held.get(row.id)
        return fetch is not None and fetch.is_parked

    async def park(self, row: ClaimedMessage) -> bool:
        """Lets other chats pass a claimed message whose file is awaited; says if it may be.

        Raises:
            DatabaseUnavailable: the message may have been parked; the next claim returns it.
        """
        self._cursor.has_parked = True
        try:
            async with self._node.turns.turn(self.account_id):
                parked = await self._node.database.fetch_one(
                    _Row,
                    _PARK_FOR_FILE,
                    instance_id=row.instance_id,
                    id=row.id,
                    epoch=row.claimed_epoch,
                    claim_id=row.claim_id,
                    default_order=self._node.order,
                    max_parked=MAX_PARKED,
                    max_seconds=_MAX_PARKED_SECONDS,
                )
        except DatabaseUnavailable:
            self._cursor.all_files = True
            raise
        if parked:
            self._held[row.id].is_parked = True
            self._node.look()
        return parked is not None

    async def look_ahead(self) -> None:
        """Begins to fetch the files of the next few messages."""
        try:
            async with self._node.turns.turn(self.account_id):
                rows = await self._node.find_next(self._cursor)
        except DatabaseUnavailable:
            return  # their turn fetches them
        for row in rows:
            if self.count_ahead() >= _MAX_AHEAD or not self._node.may_begin(self.account_id):
                return
            message = decode(row)
            if row.id in self._held or not isinstance(message, OutgoingMessage):
                continue
            if self._node.preparer.needs_files(message):
                await self._begin(row.id, message)

    def count_ahead(self) -> int:
        return sum(fetch.is_ahead for fetch in self._held.values())

    def waiting_ids(self) -> list[int]:
        """Returns the messages that the worker does not have: the worker checks its own."""
        return [row_id for row_id, fetch in self._held.items() if not fetch.is_claimed]

    async def withdraw(self, row_id: int, *, is_live: bool) -> None:
        """Ends the fetch of a message that is not live, or whose turn does not come."""
        fetch = self._held.get(row_id)
        if fetch is None or fetch.is_claimed:
            return
        age = self._node.clock.monotonic_seconds() - fetch.began
        if not is_live or (fetch.is_ahead and age > _MAX_AHEAD_SECONDS):
            await self._end(row_id)

    async def _begin(self, row_id: int, message: OutgoingMessage) -> _Fetch:
        stack = AsyncExitStack()
        preparing = await stack.enter_async_context(
            self._node.preparer.preparing(self.instance_id, message, account_id=self.account_id)
        )
        fetch = _Fetch(stack, preparing, self._node.clock.monotonic_seconds())
        self._held[row_id] = fetch
        preparing.on_end(self._note_end(row_id))
        self._node.look()
        return fetch

    def _note_end(self, row_id: int) -> Callable[[], None]:
        def note() -> None:
            if row_id in self._held:
                self._cursor.ready_ids.add(row_id)
                self._wakeup.set()

        return note

    async def _end(self, row_id: int) -> None:
        self._cursor.ready_ids.discard(row_id)
        if fetch := self._held.pop(row_id, None):
            await fetch.stack.aclose()
