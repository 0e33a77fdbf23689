"""What many ask at once is answered by one flush, each according to its question."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from tests.fixtures.patience import PATIENCE_SECONDS

Answers = Sequence[str | Exception | NextFlush]


class Flushes:
    """A flush that records what it was asked and waits for permission to answer."""

    def __init__(self, answer: Callable[[list[str]], Answers] | None = None) -> None:
        self.asked: list[list[str]] = []
        self.begun = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._answer = answer or (lambda questions: [q.upper() for q in questions])

    async def __call__(self, questions: list[str]) -> Answers:
        self.asked.append(questions)
        self.begun.set()
        await self.may_answer.wait()
        return self._answer(questions)


@asynccontextmanager
async def running(batch: Batch[str, str]) -> AsyncIterator[asyncio.Event]:
    stopping = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(batch.run_until(stopping))
        try:
            yield stopping
        finally:
            stopping.set()


async def test_a_question_alone_waits_for_nobody() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes)

    async with running(batch):
        assert await batch.submit("a") == "A"

    assert flushes.asked == [["a"]]


async def test_questions_gather_while_a_flush_is_on_its_way() -> None:
    flushes = Flushes()
    flushes.may_answer.clear()
    batch = Batch[str, str](flushes)

    async with running(batch):
        first = batch.submit("a")
        await flushes.begun.wait()
        later = [batch.submit("b"), batch.submit("c"), batch.submit("d")]
        flushes.may_answer.set()
        answers = await asyncio.gather(first, *later)

    assert flushes.asked == [["a"], ["b", "c", "d"]]
    assert answers == ["A", "B", "C", "D"]


async def test_a_flush_takes_no_more_than_the_largest() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes, max_size=2)
    questions = [batch.submit(letter) for letter in "abcde"]

    async with running(batch):
        answers = await asyncio.gather(*questions)

    assert flushes.asked == [["a", "b"], ["c", "d"], ["e"]]
    assert answers == list("ABCDE")


async def test_an_exception_as_an_answer_is_raised_for_that_question_alone() -> None:
    flushes = Flushes(lambda qs: [ValueError("not b") if q == "b" else q.upper() for q in qs])
    batch = Batch[str, str](flushes)
    a, b, c = (batch.submit(letter) for letter in "abc")

    async with running(batch):
        with pytest.raises(ValueError, match="not b"):
            await b
        assert list(await asyncio.gather(a, c)) == ["A", "C"]

    assert flushes.asked == [["a", "b", "c"]]


async def test_an_exception_of_the_flush_is_raised_for_everybody_and_the_next_goes_on() -> None:
    def fail_once(questions: list[str]) -> Answers:
        if len(flushes.asked) == 1:
            raise ValueError("none of you")
        return [q.upper() for q in questions]

    flushes = Flushes(fail_once)
    batch = Batch[str, str](flushes)
    questions = [batch.submit("a"), batch.submit("b")]

    async with running(batch):
        answers = await asyncio.gather(*questions, return_exceptions=True)
        after = await batch.submit("c")

    assert [str(answer) for answer in answers] == ["none of you"] * 2
    assert after == "C"


async def test_what_must_wait_rejoins_first_and_in_order() -> None:
    def not_at_first(questions: list[str]) -> Answers:
        first = len(flushes.asked) == 1
        return [NEXT_FLUSH if first and q in "bd" else q.upper() for q in questions]

    flushes = Flushes(not_at_first)
    flushes.may_answer.clear()
    batch = Batch[str, str](flushes)
    questions = [batch.submit(letter) for letter in "abcd"]

    async with running(batch):
        await flushes.begun.wait()
        questions.append(batch.submit("e"))
        flushes.may_answer.set()
        answers = await asyncio.gather(*questions)

    assert flushes.asked == [list("abcd"), list("bde")]
    assert answers == list("ABCDE")


async def test_a_flush_that_moves_nothing_is_repeated_after_a_pause() -> None:
    flushes = Flushes(lambda qs: [NEXT_FLUSH if len(flushes.asked) < 4 else q for q in qs])
    batch = Batch[str, str](flushes)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with running(batch):
        assert await batch.submit("a") == "a"

    assert flushes.asked == [["a"]] * 4
    assert loop.time() - began >= 0.025


async def test_whoever_gave_up_is_not_asked_for() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes)
    gone, stays = batch.submit("gone"), batch.submit("stays")
    gone.cancel()

    async with running(batch):
        assert await stays == "STAYS"

    assert flushes.asked == [["stays"]]


async def test_whoever_gives_up_during_the_flush_does_not_disturb_it() -> None:
    flushes = Flushes()
    flushes.may_answer.clear()
    batch = Batch[str, str](flushes)

    async with running(batch):
        gone, stays = batch.submit("gone"), batch.submit("stays")
        await flushes.begun.wait()
        gone.cancel()
        flushes.may_answer.set()
        assert await stays == "STAYS"
        assert await batch.submit("next") == "NEXT"

    assert gone.cancelled()


async def test_all_givers_up_cost_no_flush() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes)
    batch.submit("gone").cancel()

    async with running(batch):
        assert await batch.submit("a") == "A"

    assert flushes.asked == [["a"]]


async def test_a_stop_answers_what_was_asked_before_it() -> None:
    flushes = Flushes()
    flushes.may_answer.clear()
    batch = Batch[str, str](flushes)

    async with running(batch) as stopping:
        first = batch.submit("a")
        await flushes.begun.wait()
        second = batch.submit("b")
        stopping.set()
        flushes.may_answer.set()

    assert [first.result(), second.result()] == ["A", "B"]
