"""What many ask at once, answered by one statement.

A flush starts as soon as the last one ended, without a timer: alone, a question waits for
nobody; under load, questions gather while the last flush is on its way.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gateway.bells import ringing

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class NotNow:
    """The answer to a question that must join the next flush."""


NOT_NOW: Final = NotNow()
_PAUSE_WHEN_NOTHING_MOVES_SECONDS = 0.01


@dataclass(slots=True)
class _Asked(Generic[Question, Answer]):
    question: Question
    answer: asyncio.Future[Answer]


class Batch(Generic[Question, Answer]):
    """Part of the service. `flush` gets the questions and returns their answers, in order.

    An answer that is an exception is raised for that question alone; an exception raised by
    `flush` is raised for all of them.
    """

    def __init__(
        self,
        flush: Callable[[list[Question]], Awaitable[Sequence[Answer | Exception | NotNow]]],
        *,
        largest: int = 500,
    ) -> None:
        self._flush, self._largest = flush, largest
        self._waiting: deque[_Asked[Question, Answer]] = deque()
        self._bell = asyncio.Event()

    def ask(self, question: Question) -> asyncio.Future[Answer]:
        asked = _Asked(question, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._bell.set()
        return asked.answer

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Answers until *stopping*; whoever still asks must have been stopped before."""
        async with ringing(self._bell, when=stopping):
            while not stopping.is_set():
                await self._bell.wait()
                self._bell.clear()
                while self._waiting:
                    if not await self._flush_once():
                        await asyncio.sleep(_PAUSE_WHEN_NOTHING_MOVES_SECONDS)

    async def _flush_once(self) -> bool:
        """Says whether anything was answered."""
        batch = [self._waiting.popleft() for _ in range(min(self._largest, len(self._waiting)))]
        batch = [asked for asked in batch if not asked.answer.done()]
        answers: Sequence[Answer | Exception | NotNow]
        try:
            answers = await self._flush([asked.question for asked in batch]) if batch else ()
        except Exception as error:  # noqa: BLE001 - handed to everybody who asked
            answers = [error] * len(batch)
        later = [asked for asked, a in zip(batch, answers, strict=True) if isinstance(a, NotNow)]
        for asked, answer in zip(batch, answers, strict=True):
            _settle(asked.answer, answer)
        self._waiting.extendleft(reversed(later))
        return len(later) < len(batch) or not batch


def _settle(future: asyncio.Future[Answer], answer: Answer | Exception | NotNow) -> None:
    if future.done() or isinstance(answer, NotNow):
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
