"""Requests that come together begin a few in each turn of the loop, name by name."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from gateway.api.request_starts import RequestStarts


class Application:
    """Records in which turn of the loop each request began."""

    def __init__(self) -> None:
        self.turn = 0
        self.begun: list[tuple[int, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.append((self.turn, scope["path"]))

    async def count_turns(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1

    def in_turns(self) -> list[int]:
        """Returns how many requests began in each turn that began some."""
        turns = [turn for turn, _path in self.begun]
        return [turns.count(turn) for turn in dict.fromkeys(turns)]


async def receive() -> dict[str, str]:
    raise AssertionError


async def send(_message: object) -> None:
    raise AssertionError


def starts_of(application: Application, *, per_turn: int, shared: bool = True) -> RequestStarts:
    return RequestStarts(
        application,
        is_shared=lambda: shared,
        account_of={"a1": "a", "a2": "a", "a3": "a", "a4": "a"}.get,
        per_turn=1_000,
        per_turn_beside_others=per_turn,
    )


async def served(paths: list[str], *, per_turn: int, shared: bool = True) -> Application:
    application = Application()
    starts = starts_of(application, per_turn=per_turn, shared=shared)
    counting = asyncio.create_task(application.count_turns())
    async with asyncio.TaskGroup() as tasks:
        for path in paths:
            tasks.create_task(starts({"type": "http", "path": path}, receive, send))
    counting.cancel()
    return application


async def test_few_requests_begin_at_once() -> None:
    application = await served(["/instances/a/x"] * 4, per_turn=4)

    assert application.in_turns() == [4]


async def test_requests_of_an_account_that_is_alone_begin_together() -> None:
    application = await served(["/instances/a/x"] * 100, per_turn=1, shared=False)

    assert application.in_turns() == [100]


async def test_many_requests_begin_over_many_turns() -> None:
    application = await served(["/instances/a/x"] * 19, per_turn=4)

    assert application.in_turns() == [4, 4, 4, 4, 3]


@pytest.mark.parametrize("other", ["/instances/b/token/T/send-text", "/ready"])
async def test_many_requests_of_one_instance_do_not_delay_those_of_others(other: str) -> None:
    paths = [f"/instances/a/token/T/{n}" for n in range(50)]
    application = await served([*paths, other], per_turn=2)

    order = [path for _turn, path in application.begun]
    assert order.index(other) < 5
    assert [path for path in order if path != other] == paths


async def test_requests_of_many_instances_of_an_account_do_not_delay_those_of_others() -> None:
    paths = [f"/instances/a{1 + n % 4}/token/T/{n}" for n in range(40)]
    application = await served([*paths, "/instances/b/token/T/x"], per_turn=1)

    order = [path for _turn, path in application.begun]
    assert order.index("/instances/b/token/T/x") < 3
    assert [path for path in order if path in paths] == paths


@pytest.mark.parametrize("other", ["/instances/a1/token/T/send-text", "/ready", "/account/usage"])
async def test_paths_that_a_stranger_makes_up_delay_no_others(other: str) -> None:
    application = Application()
    starts = starts_of(application, per_turn=1)
    paths = [f"/instances/unknown{n}/token/T/x" if n % 2 else f"/made-up/{n}" for n in range(40)]
    async with asyncio.TaskGroup() as tasks:
        for path in [*paths, other]:
            client = ("10.0.0.2" if path == other else "10.0.0.1", 80)
            scope = {"type": "http", "path": path, "client": client}
            tasks.create_task(starts(scope, receive, send))

    order = [path for _turn, path in application.begun]
    assert order.index(other) < 3


async def test_request_whose_client_left_takes_no_place() -> None:
    application = Application()
    starts = starts_of(application, per_turn=1)

    async def request(path: str) -> None:
        await starts({"type": "http", "path": path}, receive, send)

    tasks = [asyncio.create_task(request(f"/instances/a/{n}")) for n in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert [path for _turn, path in application.begun] == ["/instances/a/0", "/instances/a/3"]

    await request("/instances/a/later")
    assert application.begun[-1][1] == "/instances/a/later"
