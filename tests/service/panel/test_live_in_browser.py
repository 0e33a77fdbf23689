"""The script of the panel in Chromium: live parts, copying, switchers, and what errors show."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route

from gateway.contract.scopes import UserRole
from tests.fixtures.panel import account_of, people_of
from tests.fixtures.panel_browser import chromium, context_of, new_tab
from tests.fixtures.postgres_proxy import bad_connection
from tests.fixtures.service import Client, NewHouse, RunningGateway, running_gateway
from tests.service.test_docs_page import IN_A_BROWSER

pytestmark = IN_A_BROWSER
REFRESH_MS = 10_000
PART = "/panel/switch/instances"
_ADD_PART = """
    ([topic, url]) => {
        const part = document.createElement("div");
        part.dataset.live = topic;
        part.dataset.liveUrl = url;
        document.getElementById("content").append(part);
        window.dispatchEvent(new Event("pageshow"));
    }
"""


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house() as gateway:
        yield gateway


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


def is_part(url: str) -> bool:
    return PART in url


def is_stream(url: str) -> bool:
    return "/panel/live?" in url


async def add_part(page: Page, instance_id: str) -> None:
    """Adds a live part to the page, as pages have them."""
    await page.evaluate(_ADD_PART, [f"queue:{instance_id}", PART])


async def refuse(route: Route) -> None:
    await route.fulfill(status=503, body="away")


async def test_live_parts_outlive_a_lost_stream_and_end_with_the_session(
    browser: Browser, client: Client, house: RunningGateway
) -> None:
    async with people_of(house) as people:
        account_id = await account_of(client)
        email = await people.add(UserRole.OWNER, account_id, password=None)
        context = await context_of(browser, house, session=await people.session_of(email))
        page = (await new_tab(context)).page
        await page.clock.install()
        await page.goto("/panel/profile")

        async with page.expect_request(lambda r: is_part(r.url)):
            await add_part(page, client.demo.instance_id)
        await page.locator("[data-live]", has_text="Demo").wait_for()

        # Lost: the stream is refused, so the page asks every ten seconds.
        await page.route("**/panel/live?*", refuse)
        async with page.expect_response(lambda r: is_stream(r.url)):
            await page.evaluate("window.dispatchEvent(new Event('pagehide'))")
            await page.evaluate("window.dispatchEvent(new Event('pageshow'))")
        async with page.expect_request(lambda r: is_part(r.url)):
            await page.clock.run_for(REFRESH_MS)

        # Back: the page tries the stream again, and what changed meanwhile is fetched.
        async with page.expect_response(lambda r: is_stream(r.url) and r.ok) as answer:
            await page.unroute("**/panel/live?*")
            while not answer.is_done():  # the refusal may reach the script after the clock moved
                async with page.expect_response(lambda r: is_part(r.url) or is_stream(r.url)):
                    await page.clock.run_for(REFRESH_MS)

        await people.admin.set_disabled(email, disabled=True)
        await page.wait_for_selector("[name=password]")
        assert page.url.endswith("/panel/sign-in?next=/panel/profile")
        await context.close()


async def test_copy_button_and_switchers_work(
    browser: Browser, client: Client, house: RunningGateway
) -> None:
    async with people_of(house) as people:
        account_id = await account_of(client)
        email = await people.add(UserRole.OPERATOR, password=None)
        context = await context_of(browser, house, session=await people.session_of(email))
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        tab = await new_tab(context)
        page = tab.page
        await page.goto("/panel/profile/second-factor")
        secret = await page.inner_text(".code code")
        await page.click("[data-copy]")
        await page.wait_for_selector("[data-copy].is-done")
        assert await page.evaluate("navigator.clipboard.readText()") == secret
        assert await page.inner_text("#said") != ""

        await page.goto(f"/panel/?account={account_id}")
        await page.click(".switcher:has(#q-instance) > summary")
        await page.fill("#q-instance", "Demo")
        async with page.expect_navigation():
            await page.click("#options-instance button")
        assert "Demo" in await page.inner_text(".switcher:has(#q-instance) strong")

        await page.click(".switcher:has(#q-account) > summary")
        await page.wait_for_selector("#options-account button")
        await page.keyboard.press("Escape")
        await page.wait_for_selector(".switcher[open]", state="detached")
        assert tab.problems == []
        await context.close()


async def test_page_comes_back_by_itself_when_the_database_does(
    browser: Browser, tmp_path: Path, database_url: str
) -> None:
    async with bad_connection(database_url) as proxy:
        with running_gateway(tmp_path, proxy.url, GATEWAY_STATEMENT_SECONDS="1") as gateway:
            await gateway.ready()
            context = await context_of(browser, gateway, session="0" * 64)
            page = (await new_tab(context)).page
            proxy.freeze()
            away = await page.goto("/panel/profile")
            assert away is not None
            assert away.status == 503
            proxy.thaw()
            await page.wait_for_selector("[name=password]")
            assert page.url.endswith("/panel/sign-in?next=/panel/profile")
            await context.close()
            gateway.kill()
