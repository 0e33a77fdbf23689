"""Small bodies are parsed at once, large ones in the parsing process, one owner after another."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from gateway.clock import Clock
from gateway.contract.zapi.contacts import CheckPhones
from gateway.contract.zapi.instances import SetProfilePicture
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import InvalidRequest, TooManyValues, Unavailable
from gateway.observability.metrics import Metrics
from gateway.parsing.parser import BodyParser
from gateway.parsing.records import ReadRecord
from gateway.parsing.tasks import BuildCommand, ParsingTask
from tests.fixtures.patience import PATIENCE_SECONDS

PHONE = "5511999999999"
PADDING = ["x"] * 2_000


@dataclass(frozen=True, slots=True)
class ProcessOf(ParsingTask[int]):
    """Returns the id of the process that runs it."""

    @property
    def is_small(self) -> bool:
        return False

    def run(self) -> int:
        return os.getpid()


@dataclass(frozen=True, slots=True)
class NicenessOf(ProcessOf):
    """Returns the niceness of the process that runs it."""

    def run(self) -> int:
        return os.nice(0)


@dataclass(frozen=True, slots=True)
class Stop(ProcessOf):
    """Never ends."""

    def run(self) -> int:
        signal.pause()
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Swell(ProcessOf):
    """Needs more memory than the process may have."""

    def run(self) -> int:
        return len(bytearray(2 * 2**30))


@asynccontextmanager
async def parsing(
    *, max_seconds: float = PATIENCE_SECONDS, max_of_owner: int = 8, max_waiting: int = 64
) -> AsyncIterator[tuple[BodyParser, Metrics]]:
    metrics = Metrics()
    parser = BodyParser(
        Clock(),
        metrics,
        max_seconds=max_seconds,
        max_of_owner=max_of_owner,
        max_waiting=max_waiting,
    )
    stopping = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(parser.run_until(stopping))
        await asyncio.sleep(0)
        try:
            yield parser, metrics
        finally:
            stopping.set()


@pytest.fixture
def without_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs tasks here, for tests of who may run one when."""

    async def answer_to(_parser: BodyParser, task: ParsingTask[object]) -> tuple[bool, object]:
        return True, task.run()

    monkeypatch.setattr(BodyParser, "_answer_to", answer_to)


def outcomes(metrics: Metrics) -> dict[str, float]:
    return {
        sample.labels["outcome"]: sample.value
        for family in metrics.registry.collect()
        if family.name == "large_bodies"
        for sample in family.samples
        if sample.name == "large_bodies_total"
    }


def text_with(extra: object) -> BuildCommand[SendText]:
    return BuildCommand(orjson.dumps({"phone": PHONE, "message": "Hi", "extra": extra}), SendText)


class CountingRepr:
    """A result that counts how often its text was asked for, which takes long if it is large."""

    asked = 0

    def __repr__(self) -> str:
        CountingRepr.asked += 1
        return "large"


@dataclass(frozen=True, slots=True)
class Large(ParsingTask[CountingRepr]):
    """Returns a result whose text is large."""

    @property
    def is_small(self) -> bool:
        return False

    def run(self) -> CountingRepr:
        return CountingRepr()


@pytest.mark.usefixtures("without_process")
async def test_parser_never_formats_a_large_result() -> None:
    async with parsing() as (parser, _metrics):
        await parser.run(Large(b""), owner="a")

    assert CountingRepr.asked == 0


async def test_parser_runs_a_small_task_without_a_process() -> None:
    parser = BodyParser(Clock(), Metrics())

    assert await parser.run(text_with([]), owner="a") == SendText(phone=PHONE, message="Hi")
    with pytest.raises(InvalidRequest, match="message: is required"):
        await parser.run(BuildCommand(b'{"phone":"5511999999999"}', SendText), owner="a")


async def test_parser_runs_large_tasks_in_one_other_process(tmp_path: Path) -> None:
    picture = tmp_path / "0"
    picture.write_bytes(b"\x89PNG")
    phones = orjson.dumps({"phones": [PHONE] * 50_000})
    message = {"phone": PHONE, "message": "Hi", "extra": PADDING}
    record = {"id": 7, "instanceId": "one", "type": "send-text", "message": message}

    async with parsing() as (parser, metrics):
        built = await parser.run(text_with(PADDING), owner="a")
        checked = await parser.run(BuildCommand(phones, CheckPhones), owner="a")
        pictured = await parser.run(
            BuildCommand(b'{"value":"file"}', SetProfilePicture, files={"file": picture}), owner="a"
        )
        read = await parser.run(ReadRecord(orjson.dumps(record)), owner="a")
        raw = orjson.dumps({"phone": PHONE, "extra": PADDING})
        with pytest.raises(InvalidRequest, match="message: is required"):
            await parser.run(BuildCommand(raw, SendText), owner="a")
        with pytest.raises(TooManyValues, match="more than 60000 values"):
            await parser.run(text_with([[]] * 100_000), owner="a")
        first, second = [await parser.run(ProcessOf(b""), owner="a") for _ in range(2)]

    assert built == read.message == SendText(phone=PHONE, message="Hi")
    assert (read.own_id, read.address.instance) == ("7", "one")
    assert checked.phones == (PHONE,) * 50_000
    assert pictured.value == "iVBORw=="
    assert first == second != os.getpid()
    assert outcomes(metrics) == {"parsed": 6, "refused": 2}


async def test_parser_ends_a_task_over_its_memory_or_its_time() -> None:
    async with parsing() as (parser, metrics):
        first = await parser.run(ProcessOf(b""), owner="b")
        with pytest.raises(Unavailable, match="too much memory"):
            await parser.run(Swell(b""), owner="a")
        assert await parser.run(ProcessOf(b""), owner="b") == first
        parser._max_seconds = 0.05
        with pytest.raises(Unavailable, match="takes too long"):
            await parser.run(Stop(b""), owner="a")
        parser._max_seconds = PATIENCE_SECONDS
        second = await parser.run(ProcessOf(b""), owner="b")

        assert first != second
        assert outcomes(metrics) == {"parsed": 3, "refused": 1, "timeout": 1}
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)


@pytest.mark.usefixtures("without_process")
async def test_parser_lets_owners_take_turns_and_limits_each() -> None:
    order: list[str] = []

    async def run(parser: BodyParser, owner: str) -> None:
        await parser.run(ProcessOf(b""), owner=owner)
        order.append(owner)

    async with parsing(max_of_owner=3, max_waiting=4) as (parser, metrics):
        async with asyncio.TaskGroup() as group:
            for owner in ("many", "many", "many", "one"):
                group.create_task(run(parser, owner))
            await asyncio.sleep(0)  # all four wait, and none is in work
            for owner in ("many", "another"):
                with pytest.raises(Unavailable, match="Too many large bodies"):
                    await parser.run(ProcessOf(b""), owner=owner)

        assert order.index("one") == 1
        assert outcomes(metrics)["busy"] == 2


@pytest.mark.usefixtures("without_process")
async def test_parser_frees_the_place_of_a_caller_that_left() -> None:
    async with parsing(max_of_owner=1) as (parser, _):
        async with asyncio.TaskGroup() as group:
            left = group.create_task(parser.run(ProcessOf(b""), owner="a"))
            await asyncio.sleep(0)
            left.cancel()
        assert await parser.run(ProcessOf(b""), owner="a")


async def test_parser_that_stops_refuses_what_waits_and_what_comes() -> None:
    parser, stopping = BodyParser(Clock(), Metrics()), asyncio.Event()
    refused = 0

    async def run() -> None:
        nonlocal refused
        with pytest.raises(Unavailable, match="stopping"):
            await parser.run(ProcessOf(b""), owner="a")
        refused += 1

    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(parser.run_until(stopping))
        group.create_task(run())
        group.create_task(run())
        await asyncio.sleep(0)
        stopping.set()

    assert refused == 2
    with pytest.raises(Unavailable):
        await parser.run(ProcessOf(b""), owner="a")


def test_build_command_refuses_a_large_file_by_its_field(tmp_path: Path) -> None:
    picture = tmp_path / "0"
    with picture.open("wb") as file:
        file.truncate(16 * 2**20 + 1)
    command = BuildCommand(b'{"value":"file"}', SetProfilePicture, files={"file": picture})

    with pytest.raises(InvalidRequest, match="value: must be a file of at most 16777216 bytes"):
        command.run()


async def test_event_loop_comes_before_the_parsing_process() -> None:
    async with parsing() as (parser, _metrics):
        assert await parser.run(NicenessOf(b""), owner="a") > os.nice(0)
