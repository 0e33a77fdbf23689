"""Two people press the buttons of one queue at once: it ends in one state, and says whose."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.fixtures.service import Client, NewHouse, RunningGateway, guest_of
from tests.service.panel.test_queue_and_messages import QUEUE, visiting


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_PACE_MIN_SECONDS="600", GATEWAY_PACE_MAX_SECONDS="600") as gateway:
        yield gateway


@pytest.fixture
async def shop(house: RunningGateway) -> AsyncIterator[Client]:
    async with guest_of(house) as client:
        yield client


async def test_pause_and_resume_at_once_end_in_one_state_that_every_page_shows(
    shop: Client, house: RunningGateway
) -> None:
    await shop.send_text("waits")
    async with visiting(house, shop) as one, visiting(house, shop) as other:
        answers: list[httpx.Response] = []
        for _ in range(5):
            answers += await asyncio.gather(
                one.press(f"{QUEUE}/pause"), other.press(f"{QUEUE}/resume")
            )
        stats = await one.read("/queue/stats")
        pages = [(await each.open(f"{QUEUE}/state")).text for each in (one, other)]
        # The page of one still has the button that was right a moment ago: pressed twice, it
        # changes nothing more.
        twice = await asyncio.gather(one.press(f"{QUEUE}/pause"), other.press(f"{QUEUE}/pause"))
        paused = (await one.open(f"{QUEUE}/state")).text
        await other.press(f"{QUEUE}/resume")
        resumed = (await one.open(f"{QUEUE}/state")).text
        left = await one.read("/queue/count")

    assert {answer.status_code for answer in [*answers, *twice]} == {httpx.codes.SEE_OTHER}
    assert ["Sending is paused" in page for page in pages] == [stats["paused"]] * 2
    assert "Sending is paused" in paused
    assert f"Paused by {one.email}" in paused or f"Paused by {other.email}" in paused
    assert f"Resumed by {other.email}" in resumed
    assert left["count"] == 1
