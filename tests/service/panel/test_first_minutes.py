"""A person's first five minutes, in a browser: everything is found and done by what pages show."""

import sys

from tests.first_minutes import SETTINGS, first_minutes
from tests.fixtures.panel_browser import chromium
from tests.fixtures.service import NewHouse
from tests.service.test_docs_page import IN_A_BROWSER

pytestmark = IN_A_BROWSER


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def test_a_stranger_goes_from_nothing_to_a_dead_letter_that_arrives(
    new_house: NewHouse,
) -> None:
    with new_house(**SETTINGS) as host:
        async with chromium() as browser:
            assert await first_minutes(browser, host, tell) == []
