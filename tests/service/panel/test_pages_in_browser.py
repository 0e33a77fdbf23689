"""Every page in Chromium: no error, no refused script, no barrier, nothing wider than the screen.

The pages are those that a walk finds. `make test` looks at each page in both widths and both
themes, and at each language and each role in turn; `make test-long` at every combination.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import cycle
from typing import get_args

import httpx
import pytest
from playwright.async_api import Browser

from gateway.contract.scopes import UserRole
from gateway.panel.assets import asset_url
from gateway.panel.languages import LANGUAGES
from gateway.users.store import Language
from tests.fixtures.panel import people_of
from tests.fixtures.panel_browser import (
    Scheme,
    chromium,
    context_of,
    every_look,
    new_tab,
    pairwise,
)
from tests.fixtures.panel_walk import Shown
from tests.service.panel.conftest import SeededGateway, walk_as
from tests.service.test_docs_page import IN_A_BROWSER

MAX_BYTES = 200_000
_TABS = 3
Looks = Sequence[tuple[int, Scheme]]
pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


async def pages_of(seeded: SeededGateway, role: UserRole) -> Mapping[str, Shown]:
    return (await walk_as(seeded, role)).pages()


async def check_all(
    browser: Browser,
    seeded: SeededGateway,
    role: UserRole,
    language: Language,
    wanted: Mapping[str, Looks],
) -> list[str]:
    """Returns what is wrong with pages, by path; a few tabs work side by side."""
    email = seeded.seed.email_of(role)
    async with people_of(seeded.host) as people:
        user = await people.admin.find(email)
        await people.admin.set_profile(email, name=user.name, language=language)
        session = await people.session_of(email)
    context = await context_of(browser, seeded.host, session=session, language=language)
    waiting, problems = list(wanted.items()), list[str]()

    async def work() -> None:
        tab = await new_tab(context)
        while waiting:
            path, looks = waiting.pop()
            await tab.check(path, *looks)
        problems.extend(f"{role} {language} {each}" for each in tab.problems)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_TABS):
            tasks.create_task(work())
    await context.close()
    return problems


async def test_pages_are_clean_in_each_role_and_language(
    browser: Browser, seeded: SeededGateway
) -> None:
    """Deals the pages out: each once, each role and each language at least once."""
    shown = {role: await pages_of(seeded, role) for role in UserRole}
    every = sorted({path for pages in shown.values() for path in pages})
    shares: defaultdict[tuple[UserRole, Language], dict[str, Looks]] = defaultdict(dict)
    roles, languages = cycle(UserRole), cycle(LANGUAGES)
    for number, path in enumerate(every):
        role = next(role for role in roles if path in shown[role])
        look = pairwise(number)[number % 2]
        shares[role, next(languages)][shown[role][path].path] = [look]
    for role in {*UserRole} - {role for role, _language in shares}:
        path = next(iter(shown[role].values())).path
        shares[role, next(languages)][path] = pairwise(0)

    problems = []
    for (role, language), wanted in shares.items():
        problems += await check_all(browser, seeded, role, language, wanted)

    assert problems == []


async def test_pages_before_the_sign_in_are_clean(browser: Browser, seeded: SeededGateway) -> None:
    context = await context_of(browser, seeded.host)
    tab = await new_tab(context)
    for number, path in enumerate(("/panel/sign-in", seeded.seed.shop.link_path)):
        await tab.check(path, *pairwise(number))
    assert tab.problems == []
    await tab.page.goto("/panel/nowhere")
    tab.problems.clear()  # the 404 that was asked for
    await tab.check("/panel/sign-in?next=/panel/profile", *pairwise(1))
    assert tab.problems == []
    await context.close()


async def test_each_page_is_light(seeded: SeededGateway) -> None:
    shared = sum(
        len(asset) for asset in await _assets(seeded, ("panel.css", "panel.js", "htmx.js"))
    ) + sum(len(asset) for asset in await _assets(seeded, ("icons.svg", "mark.svg")))
    weights = {
        shown.path: shared + len(shown.html.encode())
        for role in UserRole
        for shown in (await pages_of(seeded, role)).values()
    }
    assert {path: size for path, size in weights.items() if size > MAX_BYTES} == {}


async def _assets(seeded: SeededGateway, names: Sequence[str]) -> list[bytes]:
    """Returns the files as they travel: a browser asks for them compressed."""
    async with httpx.AsyncClient(base_url=seeded.host.base_url) as http:
        found = []
        for name in names:
            async with http.stream("GET", asset_url(name)) as answer:
                found.append(b"".join([piece async for piece in answer.aiter_raw()]))
        return found


@pytest.mark.long
@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.parametrize("role", list(UserRole))
async def test_pages_are_clean_in_every_combination(
    role: UserRole, language: Language, browser: Browser, seeded: SeededGateway
) -> None:
    wanted = {shown.path: every_look() for shown in (await pages_of(seeded, role)).values()}
    assert await check_all(browser, seeded, role, language, wanted) == []
