"""What many ask at once, answered by one statement.

A flush starts as soon as the last one ended, without a timer: alone, a question waits for
nobody; under load, questions gather while the last flush is on its way.
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
    """The answer to a question that must join the next flush."""


NEXT_FLUSH: Final = NextFlush()
_PAUSE_WHEN_NOTHING_MOVES_SECONDS = 0.01


@dataclass(slots=True)
class _Submitted(Generic[Item, Answer]):
    item: Item
    answer: asyncio.Future[Answer]


class Batch(Generic[Item, Answer]):
    """Part of the service. `flush` gets the questions and returns their answers, in order.

    An answer that is an exception is raised for that question alone; an exception raised by
    `flush` is raised for all of them.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception | NextFlush]]],
        *,
        largest: int = 500,
    ) -> None:
        self._flush, self._largest = flush, largest
        self._waiting: deque[_Submitted[Item, Answer]] = deque()
        self._wakeup = asyncio.Event()

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        submitted = _Submitted(item, asyncio.get_running_loop().create_future())
        self._waiting.append(submitted)
        self._wakeup.set()
        return submitted.answer

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Answers until *stopping*; whoever still asks must have been stopped before."""
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                await self._wakeup.wait()
                self._wakeup.clear()
                while self._waiting:
                    if not await self._flush_once():
                        await asyncio.sleep(_PAUSE_WHEN_NOTHING_MOVES_SECONDS)

    async def _flush_once(self) -> bool:
        """Says whether anything was answered."""
        batch = [self._waiting.popleft() for _ in range(min(self._largest, len(self._waiting)))]
        batch = [submitted for submitted in batch if not submitted.answer.done()]
        answers: Sequence[Answer | Exception | NextFlush]
        try:
            answers = await self._flush([submitted.item for submitted in batch]) if batch else ()
        except Exception as error:  # noqa: BLE001 - handed to everybody who asked
            answers = [error] * len(batch)
        later = [
            submitted
            for submitted, a in zip(batch, answers, strict=True)
            if isinstance(a, NextFlush)
        ]
        for submitted, answer in zip(batch, answers, strict=True):
            _settle(submitted.answer, answer)
        self._waiting.extendleft(reversed(later))
        return len(later) < len(batch) or not batch


def _settle(future: asyncio.Future[Answer], answer: Answer | Exception | NextFlush) -> None:
    if future.done() or isinstance(answer, NextFlush):
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
