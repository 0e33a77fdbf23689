"""A person's first five minutes, in a browser: everything is found and done by what pages show."""

import sys
from collections.abc import Iterator

import pytest

from tests.first_minutes import SETTINGS, first_minutes
from tests.fixtures.panel_browser import chromium
from tests.fixtures.service import NewHouse, RunningGateway
from tests.service.test_docs_page import IN_A_BROWSER

pytestmark = IN_A_BROWSER


@pytest.fixture
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(**SETTINGS) as gateway:
        yield gateway


def tell(line: str) -> None:
    sys.stdout.write(f"\n{line}")


async def test_a_stranger_goes_from_nothing_to_a_dead_letter_that_arrives(
    house: RunningGateway,
) -> None:
    async with chromium() as browser:
        assert await first_minutes(browser, house, tell) == []
