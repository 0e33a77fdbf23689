"""One gateway with a shop, for the tests that walk every page."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.contract.scopes import UserRole
from tests.fixtures.panel import browser_of, people_of
from tests.fixtures.panel_seed import SETTINGS, Seed, seed
from tests.fixtures.panel_walk import Walk, routes_of, walk
from tests.fixtures.service import NewHouse, RunningGateway


@dataclass(frozen=True)
class SeededGateway:
    """A gateway with a shop, and what each role reaches in it."""

    host: RunningGateway
    seed: Seed
    walks: dict[UserRole, Walk]

    async def session_of(self, role: UserRole, *, email: str = "") -> str:
        """Returns the token of a new session of a person of the shop."""
        async with people_of(self.host) as people:
            return await people.session_of(email or self.seed.email_of(role))


async def _open_shop(host: RunningGateway) -> SeededGateway:
    async with people_of(host) as people:
        found = await seed(host, people)
    return SeededGateway(host, found, {})


@pytest.fixture(scope="session")
def seeded(new_house: NewHouse) -> Iterator[SeededGateway]:
    """A gateway whose database holds the shop of the screenshots."""
    with new_house(**SETTINGS) as host:
        yield asyncio.run(_open_shop(host))


async def walk_as(seeded: SeededGateway, role: UserRole) -> Walk:
    """Returns what a role reaches; the walk is done once in a session of tests."""
    if role not in seeded.walks:
        async with browser_of(seeded.host, session=await seeded.session_of(role)) as http:
            seeded.walks[role] = await walk(http, starts_of(seeded.seed))
    return seeded.walks[role]


def starts_of(found: Seed) -> list[str]:
    """Returns the addresses that no page links to, and each page for numbers in several states."""
    shop = found.shop
    fixed = [r.path for r in routes_of("GET") if "{" not in r.path and not r.is_public]
    return [
        shop.link_path,
        shop.waiting_path,
        f"/panel/instances/{shop.numbers['new'].id}",  # the lists may begin with linked numbers
        "/panel/link/unknown",
        # A tab leads to it where the provider uses proxies; the sandbox uses none.
        f"/panel/instances/{shop.numbers['counter'].id}/proxy",
        *(
            f"{path}?account={shop.id}&instance={shop.numbers[key].id}"
            for key in ("delivery", "counter")
            for path in fixed
        ),
    ]
