"""A gateway that gets bad requests, and a client that sends them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fixtures.bad_requests import waiting
from tests.fixtures.service import Client, NewHouse, RunningGateway, client_of

UNEXPECTED = ("unexpected_error", "Exception in ASGI application", "Traceback")


@pytest.fixture(scope="session")
def served(new_house: NewHouse) -> Iterator[RunningGateway]:
    """A gateway whose queue waits, and which logs at DEBUG."""
    with new_house(
        GATEWAY_PACE_MIN_SECONDS="600",
        GATEWAY_PACE_MAX_SECONDS="600",
        GATEWAY_LOG_LEVEL="DEBUG",
    ) as gateway:
        yield gateway


@pytest.fixture
async def caller(served: RunningGateway) -> AsyncIterator[Client]:
    """A client that must leave the queue empty, the gateway running, and no error in its log."""
    async with client_of(served) as client:
        yield client
        assert await waiting(client) == 0
        assert served.process is not None
        assert served.process.poll() is None
    assert [word for word in UNEXPECTED if word in served.log] == []
