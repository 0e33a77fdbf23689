"""Collects items that many tasks submit, and handles them together, as with one statement.

A flush starts as soon as the one before has ended; there is no timer. A single item is flushed at
once. Under load, items collect while a flush is in flight.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gateway.wakeups import waking

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class NextFlush:
    """The answer for an item that must join the next flush."""


NEXT_FLUSH: Final = NextFlush()
_NO_PROGRESS_SECONDS = 0.01


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
    ) -> None:
        self._flush, self._max_size = flush, max_size
        self._waiting: deque[_Submitted[Item, Answer]] = deque()
        self._wakeup = asyncio.Event()

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        """Adds an item; returns the future of its answer."""
        submitted = _Submitted(item, asyncio.get_running_loop().create_future())
        self._waiting.append(submitted)
        self._wakeup.set()
        return submitted.answer

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Answers until *stopping*; tasks that submit must have been stopped before.

        Not a PeriodicLoop: it runs only when items wait, and every failure goes to the submitter.
        """
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                await self._wakeup.wait()
                self._wakeup.clear()
                while self._waiting:
                    if not await self._flush_once():
                        await asyncio.sleep(_NO_PROGRESS_SECONDS)

    async def _flush_once(self) -> bool:
        """Says whether any item got its answer."""
        batch = [self._waiting.popleft() for _ in range(min(self._max_size, len(self._waiting)))]
        batch = [submitted for submitted in batch if not submitted.answer.done()]
        answers: Sequence[Answer | Exception | NextFlush]
        try:
            answers = await self._flush([submitted.item for submitted in batch]) if batch else ()
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
        return len(postponed) < len(batch) or not batch


def _resolve(future: asyncio.Future[Answer], answer: Answer | Exception | NextFlush) -> None:
    if future.done() or isinstance(answer, NextFlush):
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
