"""Items submitted at one time share a flush, and each gets its own answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from tests.fixtures.patience import PATIENCE_SECONDS

Answers = Sequence[str | Exception | NextFlush]


class Flushes:
    """A flush that records its items and waits for permission to answer."""

    def __init__(self, answer: Callable[[list[str]], Answers] | None = None) -> None:
        self.batches: list[list[str]] = []
        self.begun = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._answer = answer or (lambda items: [q.upper() for q in items])

    async def __call__(self, items: list[str]) -> Answers:
        self.batches.append(items)
        self.begun.set()
        await self.may_answer.wait()
        return self._answer(items)


@asynccontextmanager
async def running(batch: Batch[str, str]) -> AsyncIterator[asyncio.Event]:
    stopping = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(batch.run_until(stopping))
        try:
            yield stopping
        finally:
            stopping.set()


async def test_single_item_is_flushed_at_once() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes)

    async with running(batch):
        assert await batch.submit("a") == "A"

    assert flushes.batches == [["a"]]


async def test_items_collect_while_a_flush_is_in_flight() -> None:
    flushes = Flushes()
    flushes.may_answer.clear()
    batch = Batch[str, str](flushes)

    async with running(batch):
        first = batch.submit("a")
        await flushes.begun.wait()
        later = [batch.submit("b"), batch.submit("c"), batch.submit("d")]
        flushes.may_answer.set()
        answers = await asyncio.gather(first, *later)

    assert flushes.batches == [["a"], ["b", "c", "d"]]
    assert answers == ["A", "B", "C", "D"]


async def test_flush_takes_at_most_its_maximum_size() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes, max_size=2)
    items = [batch.submit(letter) for letter in "abcde"]

    async with running(batch):
        answers = await asyncio.gather(*items)

    assert flushes.batches == [["a", "b"], ["c", "d"], ["e"]]
    assert answers == list("ABCDE")


async def test_exception_as_an_answer_is_raised_for_its_item_alone() -> None:
    flushes = Flushes(lambda items: [ValueError("not b") if q == "b" else q.upper() for q in items])
    batch = Batch[str, str](flushes)
    a, b, c = (batch.submit(letter) for letter in "abc")

    async with running(batch):
        with pytest.raises(ValueError, match="not b"):
            await b
        assert list(await asyncio.gather(a, c)) == ["A", "C"]

    assert flushes.batches == [["a", "b", "c"]]


async def test_failed_flush_raises_for_all_its_items_only() -> None:
    def fail_once(items: list[str]) -> Answers:
        if len(flushes.batches) == 1:
            raise ValueError("all failed")
        return [q.upper() for q in items]

    flushes = Flushes(fail_once)
    batch = Batch[str, str](flushes)
    items = [batch.submit("a"), batch.submit("b")]

    async with running(batch):
        answers = await asyncio.gather(*items, return_exceptions=True)
        after = await batch.submit("c")

    assert [str(answer) for answer in answers] == ["all failed"] * 2
    assert after == "C"


async def test_postponed_items_go_first_and_in_order() -> None:
    def not_at_first(items: list[str]) -> Answers:
        first = len(flushes.batches) == 1
        return [NEXT_FLUSH if first and q in "bd" else q.upper() for q in items]

    flushes = Flushes(not_at_first)
    flushes.may_answer.clear()
    batch = Batch[str, str](flushes)
    items = [batch.submit(letter) for letter in "abcd"]

    async with running(batch):
        await flushes.begun.wait()
        items.append(batch.submit("e"))
        flushes.may_answer.set()
        answers = await asyncio.gather(*items)

    assert flushes.batches == [list("abcd"), list("bde")]
    assert answers == list("ABCDE")


async def test_flush_without_progress_is_repeated_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flushes = Flushes(lambda items: [NEXT_FLUSH if len(flushes.batches) < 4 else i for i in items])
    batch = Batch[str, str](flushes)
    yield_once, pauses = asyncio.sleep, list[float]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await yield_once(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    async with running(batch):
        assert await batch.submit("a") == "a"

    assert flushes.batches == [["a"]] * 4
    assert len(pauses) == 3
    assert min(pauses) > 0


async def test_canceled_item_is_not_flushed() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes)
    gone, stays = batch.submit("gone"), batch.submit("stays")
    gone.cancel()

    async with running(batch):
        assert await stays == "STAYS"

    assert flushes.batches == [["stays"]]


async def test_item_canceled_during_a_flush_does_not_disturb_it() -> None:
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


async def test_flush_of_canceled_items_only_is_skipped() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes)
    batch.submit("gone").cancel()

    async with running(batch):
        assert await batch.submit("a") == "A"

    assert flushes.batches == [["a"]]


async def test_stop_answers_items_submitted_before_it() -> None:
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


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def submit_when_due(batch: Batch[str, str], item: str) -> str:
    await batch.due()
    return await batch.submit(item)


async def test_those_who_wait_until_due_go_on_together() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes, interval_seconds=0.05)

    async with running(batch):
        assert await submit_when_due(batch, "a") == "A"  # waits for nothing
        waiting = [asyncio.create_task(submit_when_due(batch, letter)) for letter in "bcd"]
        await turns(20)
        assert flushes.batches == [["a"]]
        waiting[0].cancel()
        assert await asyncio.gather(*waiting[1:]) == ["C", "D"]

    assert flushes.batches == [["a"], ["c", "d"]]


async def test_flush_takes_along_who_waits_until_due() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes, interval_seconds=10 * PATIENCE_SECONDS)

    async with running(batch):
        assert await batch.submit("a") == "A"
        waiting = asyncio.gather(*(submit_when_due(batch, letter) for letter in "bc"))
        await turns(20)
        assert flushes.batches == [["a"]]
        assert await batch.submit("d") == "D"
        assert await waiting == ["B", "C"]

    assert flushes.batches == [["a"], ["d", "b", "c"]]


async def test_flush_of_many_items_is_followed_by_no_interval() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes, interval_seconds=10 * PATIENCE_SECONDS)

    async with running(batch):
        await asyncio.gather(*(batch.submit(str(n)) for n in range(10)))
        assert await submit_when_due(batch, "a") == "A"


async def test_flush_gathers_items_of_tasks_that_are_about_to_submit() -> None:
    flushes = Flushes()
    batch = Batch[str, str](flushes, gathers=lambda: 10)

    async def submit_after(turns_before: int, item: str) -> str:
        await turns(turns_before)
        return await batch.submit(item)

    async with running(batch):
        answers = await asyncio.gather(*(submit_after(2 * n, "abc"[n]) for n in range(3)))

    assert flushes.batches == [["a", "b", "c"]]
    assert answers == ["A", "B", "C"]


async def test_flush_that_has_gathered_enough_begins_while_more_items_come() -> None:
    flushes = Flushes()
    flushes.may_answer.clear()
    batch = Batch[str, str](flushes, gathers=lambda: 2)

    async with running(batch):
        items = [batch.submit("a"), batch.submit("b")]
        await flushes.begun.wait()
        items.append(batch.submit("c"))
        flushes.may_answer.set()
        assert await asyncio.gather(*items) == ["A", "B", "C"]

    assert flushes.batches == [["a", "b"], ["c"]]


def of_two_sources(flushes: Flushes) -> Batch[str, str]:
    """Returns a batch with two flushes at once; the first letter of an item is its source."""
    return Batch[str, str](flushes, max_flushes=2, source_of=lambda item: item[0])


async def test_flush_of_one_source_waits_for_none_of_another() -> None:
    flushes = Flushes()
    flushes.may_answer.clear()
    batch = of_two_sources(flushes)

    async with running(batch):
        items = [batch.submit("a1")]
        await flushes.begun.wait()
        items += [batch.submit(each) for each in ("a2", "b1", "a3", "b2", "c1")]
        await turns(5)
        in_flight = list(flushes.batches)
        flushes.may_answer.set()
        answers = await asyncio.gather(*items)

    assert in_flight == [["a1"], ["b1", "b2", "c1"]]
    assert flushes.batches == [*in_flight, ["a2", "a3"]]
    assert answers == ["A1", "A2", "B1", "A3", "B2", "C1"]


async def test_items_of_a_busy_source_are_flushed_before_the_batch_ends() -> None:
    flushes = Flushes()
    flushes.may_answer.clear()
    batch = of_two_sources(flushes)

    async with running(batch) as stopping:
        first = batch.submit("a1")
        await flushes.begun.wait()
        second = batch.submit("a2")
        stopping.set()
        await turns(5)
        flushes.may_answer.set()
        assert [await first, await second] == ["A1", "A2"]


async def test_items_that_a_flush_postpones_are_flushed_after_the_stop() -> None:
    flushes = Flushes(lambda items: [NEXT_FLUSH if len(flushes.batches) == 1 else i for i in items])
    flushes.may_answer.clear()
    batch = of_two_sources(flushes)

    async with running(batch) as stopping:
        item = batch.submit("a1")
        await flushes.begun.wait()
        stopping.set()
        await turns(5)
        flushes.may_answer.set()
        assert await item == "a1"


async def test_postponed_items_stay_before_those_of_their_source_that_came_later() -> None:
    flushes = Flushes(lambda items: [NEXT_FLUSH if len(flushes.batches) == 1 else i for i in items])
    flushes.may_answer.clear()
    batch = of_two_sources(flushes)

    async with running(batch):
        items = [batch.submit("a1")]
        await flushes.begun.wait()
        items += [batch.submit("a2"), batch.submit("a3")]
        flushes.may_answer.set()
        await asyncio.gather(*items)

    assert flushes.batches == [["a1"], ["a1", "a2", "a3"]]
