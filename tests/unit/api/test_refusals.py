"""Refused requests end one by one, so that a thousand of them do not hold up the event loop."""

import asyncio
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from gateway.api.endpoints import Endpoint
from gateway.errors import TooManyRequests


class Full(Endpoint):
    """Refuses every request."""

    async def _respond(self, request: Request) -> Response:
        raise TooManyRequests("account", retry_after_seconds=1)


async def test_requests_that_are_refused_together_end_one_in_each_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.api.endpoints._REFUSAL_SECONDS", 0.0)
    unused = cast("Any", None)
    endpoint = Full(
        unused,
        unused,
        lambda: None,
        unused,
        unused,
        parser=unused,
        patience_seconds=1,
        uploads=unused,
        file_work=unused,
    )
    ended = 0

    async def receive() -> Message:
        raise AssertionError

    async def request() -> None:
        nonlocal ended
        with pytest.raises(TooManyRequests):
            await endpoint({"type": "http"}, receive, unused)
        ended += 1

    at_once = []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(request())
        while ended < 50:
            before = ended
            await asyncio.sleep(0)
            at_once.append(ended - before)

    assert max(at_once) == 1
