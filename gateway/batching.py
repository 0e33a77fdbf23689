"""Collects items that many tasks submit, and handles them together, as with one statement.

A flush starts as soon as the one before has ended, and a single item is flushed at once. Under
load, items collect while a flush is in flight. Submitters that are in no hurry also await `due`: an
interval after the begin of the last flush, which is none where items are rare, and where they are
many anyway. They hold nothing meanwhile, such as a turn of their account. A batch that gathers lets
those join that are about to be submitted. A batch may have several flushes in flight: the items of
one source then wait for no flush of others.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gateway.wakeups import waking

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class NextFlush:
    """The answer for an item that must join the next flush."""


NEXT_FLUSH: Final = NextFlush()
_NO_PROGRESS_SECONDS = 0.01
_MANY_ITEMS: Final = 10
"""A flush of so many needs no interval: a longer one would only delay them."""

_IDLE_TURNS: Final = 3
"""An answer is written in one turn, its client's next request read in another, begun in a third."""


@dataclass(slots=True)
class _Submitted(Generic[Item, Answer]):
    item: Item
    answer: asyncio.Future[Answer]


class Batch(Generic[Item, Answer]):
    """Calls `flush` with the items that wait; it returns their answers in the same order.

    An answer that is an exception is raised for that item alone. An exception that `flush` raises
    is raised for all items of the flush.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception | NextFlush]]],
        *,
        max_size: int = 500,
        interval_seconds: float = 0.0,
        gathers: Callable[[], int] = lambda: 0,
        max_flushes: int = 1,
        source_of: Callable[[Item], Hashable] = lambda _item: None,
    ) -> None:
        """Prepares the batch.

        Args:
            flush: handles the items.
            max_size: of a flush.
            interval_seconds: from the begin of a flush of few items until `due` returns.
            gathers: says how many items a flush waits for, as long as the event loop is busy with
                tasks that submit some.
            max_flushes: how many flushes are in flight at most.
            source_of: says where an item comes from; two flushes have no source in common.
        """
        self._flush, self._max_size = flush, max_size
        self._interval_seconds, self._next_at = interval_seconds, 0.0
        self._gathers = gathers
        self._max_flushes, self._source_of = max_flushes, source_of
        self._in_flight: list[frozenset[Hashable]] = []
        self._due = asyncio.Event()
        self._due_timer: asyncio.TimerHandle | None = None
        self._waiting: deque[_Submitted[Item, Answer]] = deque()
        self._wakeup = asyncio.Event()

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        """Adds an item to the next flush, which begins soon; returns the future of its answer."""
        submitted = _Submitted(item, asyncio.get_running_loop().create_future())
        self._waiting.append(submitted)
        self._become_due()  # before the flush begins, so that it takes who waits along
        self._wakeup.set()
        return submitted.answer

    async def due(self) -> None:
        """Waits until the interval is over, or until an item is submitted.

        Those who wait go on together, in time for its flush.
        """
        loop = asyncio.get_running_loop()
        if self._next_at > loop.time():
            self._due_timer = self._due_timer or loop.call_at(self._next_at, self._become_due)
            await self._due.wait()

    def _become_due(self) -> None:
        if self._due_timer:
            self._due_timer.cancel()
            self._due_timer = None
        self._due.set()
        self._due.clear()

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Answers until *stopping*; tasks that submit must have been stopped before.

        Not a PeriodicLoop: it runs only when items wait, and every failure goes to the submitter.
        """
        async with waking(self._wakeup, when=stopping), asyncio.TaskGroup() as flushes:
            # What a flush in flight postpones is flushed again, also after the stop.
            while self._waiting or self._in_flight or not stopping.is_set():
                await self._wakeup.wait()
                self._wakeup.clear()
                while batch := await self._next_batch():
                    sources = self._begin_flush(batch)
                    if self._max_flushes == 1:
                        await self._handle(batch, sources)
                    else:
                        flushes.create_task(self._handle(batch, sources))

    async def _next_batch(self) -> "list[_Submitted[Item, Answer]]":
        """Returns what the next flush may take now."""
        if not self._waiting or len(self._in_flight) >= self._max_flushes:
            return []
        self._begin_interval()
        await self._gather()
        busy = frozenset[Hashable]().union(*self._in_flight)
        batch, busy_ones = list[_Submitted[Item, Answer]](), list[_Submitted[Item, Answer]]()
        while self._waiting and len(batch) + len(busy_ones) < self._max_size:
            submitted = self._waiting.popleft()
            if not submitted.answer.done():
                is_busy = bool(busy) and self._source_of(submitted.item) in busy
                (busy_ones if is_busy else batch).append(submitted)
        self._waiting.extendleft(reversed(busy_ones))
        return batch

    def _begin_flush(self, batch: "list[_Submitted[Item, Answer]]") -> frozenset[Hashable]:
        """Notes the sources of a flush, before the next batch is taken."""
        sources = frozenset(self._source_of(submitted.item) for submitted in batch)
        self._in_flight.append(sources)
        return sources

    async def _handle(
        self, batch: "list[_Submitted[Item, Answer]]", sources: frozenset[Hashable]
    ) -> None:
        try:
            if not await self._flush_batch(batch):
                await asyncio.sleep(_NO_PROGRESS_SECONDS)
        finally:
            self._in_flight.remove(sources)
            self._wakeup.set()

    def _begin_interval(self) -> None:
        many = len(self._waiting) >= _MANY_ITEMS
        seconds = 0.0 if many else self._interval_seconds
        self._next_at = asyncio.get_running_loop().time() + seconds

    async def _gather(self) -> None:
        """Returns when there are enough items, or a few turns of the event loop brought none.

        Without this, a flush that ends at once is followed by one of the few items that came
        meanwhile, while most submitters have yet to act on their answers.
        """
        seen, idle_turns, wanted = 0, 0, self._gathers()
        while len(self._waiting) < wanted and idle_turns < _IDLE_TURNS:
            idle_turns = idle_turns + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)
            await asyncio.sleep(0)

    async def _flush_batch(self, batch: "list[_Submitted[Item, Answer]]") -> bool:
        """Says whether any item got its answer."""
        answers: Sequence[Answer | Exception | NextFlush]
        try:
            answers = await self._flush([submitted.item for submitted in batch])
        except Exception as error:  # noqa: BLE001 - raised for each submitter
            answers = [error] * len(batch)
        postponed = [
            submitted
            for submitted, a in zip(batch, answers, strict=True)
            if isinstance(a, NextFlush)
        ]
        for submitted, answer in zip(batch, answers, strict=True):
            _resolve(submitted.answer, answer)
        self._waiting.extendleft(reversed(postponed))
        return len(postponed) < len(batch)


def _resolve(future: asyncio.Future[Answer], answer: Answer | Exception | NextFlush) -> None:
    if future.done() or isinstance(answer, NextFlush):
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
