"""The page at /docs works in a real browser and loads nothing from elsewhere."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.async_api import ConsoleMessage, Locator, Page, Request, async_playwright

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, RunningGateway, until

CHROMIUM = shutil.which("chromium")
FRIEND = "5511988887777"
IN_A_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


async def test_docs_page_loads_nothing_from_elsewhere(client: Client) -> None:
    page = await client.http.get("/docs")

    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.svg", "page.js"):
        assert f"/docs/{name}" in page.text
        assert (await client.http.get(f"/docs/{name}")).status_code == 200
    assert (await client.http.get("/docs/index.html")).status_code == 404
    assert (await client.http.get("/docs/..%2fdocs.py")).status_code == 404
    document = (await client.http.get("/openapi.json")).json()
    assert document["servers"] == [{"url": "/"}]


@dataclass
class Visit:
    """A page in a browser, with its requests and its console errors."""

    page: Page
    requested: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def remember(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.requested.append(request.url)

    async def fill_in(self, client: Client) -> None:
        demo = client.demo
        await self.page.fill("[name=instanceId]", demo.instance_id)
        await self.page.fill("[name=instanceToken]", demo.instance_token)
        await self.page.fill("[name=clientToken]", demo.client_token)

    async def authorise(self, client: Client) -> str:
        """Clicks the button and returns the notice of the page."""
        await self.fill_in(client)
        await self.page.click("#who button")
        await self.page.wait_for_selector("#who[data-checked=true]")
        return await self.page.inner_text("#notice")

    async def execute(self, operation: Locator) -> str:
        """Executes an operation and returns the status of the answer."""
        await operation.locator("button.execute").click()
        answer = operation.locator(".live-responses-table tbody .response-col_status").first
        await answer.wait_for()
        return (await answer.inner_text()).strip()[:3]


@asynccontextmanager
async def visit(
    host: RunningGateway, path: str = "/docs", *, scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[Visit]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = await browser.new_page(color_scheme=scheme)
        page.set_default_timeout(PATIENCE_SECONDS * 1_000)
        visited = Visit(page)
        page.on("console", visited.note)
        page.on("pageerror", lambda error: visited.errors.append(str(error)))
        page.on("request", visited.remember)
        await page.goto(host.base_url + path)
        await page.wait_for_selector("#who[data-ready=true]")
        yield visited
        await browser.close()


@IN_A_BROWSER
async def test_docs_page_sends_a_text(gateway: RunningGateway, client: Client) -> None:
    async with visit(gateway) as visited:
        page = visited.page
        said = await visited.authorise(client)
        tags = await page.eval_on_selector_all(".opblock-tag", "all => all.map(e => e.dataset.tag)")
        await page.locator("[data-tag=Messages] .expand-operation").click()
        first = page.locator(".opblock").first
        path = await first.locator(".opblock-summary-path").get_attribute("data-path")
        await first.locator(".opblock-summary-control").click()
        await first.locator("textarea").fill(
            '{"phone": "5511999999999", "message": "from the page"}'
        )
        status = await visited.execute(first)
        buttons = page.get_by_role("button", name=re.compile("authori[sz]", re.IGNORECASE))
        await page.screenshot(path=gateway.data_dir / "docs.png")
        stored = await page.evaluate(
            "JSON.stringify([localStorage, sessionStorage]) + document.cookie"
        )
        assert await buttons.count() == 1

    (sent,) = await client.sent_at_least(1)
    assert said == "This instance is connected: messages can be sent."
    assert tags[0] == "Messages"
    assert (path or "").endswith("/send-text")
    assert (status, sent["payload"]["message"]) == ("200", "from the page")
    assert visited.errors == []
    assert {url for url in visited.requested if not url.startswith(gateway.base_url)} == set()
    assert client.demo.client_token not in stored
    assert client.demo.instance_token not in stored


@IN_A_BROWSER
async def test_docs_page_deep_link_keeps_parameter_and_executes(
    host: RunningGateway, client: Client
) -> None:
    link = f"/docs?phone={FRIEND}#/Instances/readPhoneCode"
    async with visit(host, link) as visited:
        operation = visited.page.locator("#operations-Instances-readPhoneCode")
        await operation.locator("button.execute").click()
        await visited.page.wait_for_selector("#notice.problem")
        refused = await visited.page.inner_text("#notice")
        asked_too_early = [url for url in visited.requested if "/instances/" in url]
        await visited.fill_in(client)
        status = await visited.execute(operation)
        address = visited.page.url

    assert refused == "Nothing was sent. Fill in first: Instance id, Instance token."
    assert asked_too_early == []
    assert status == "200"
    assert visited.requested[-1] == f"{host.base_url}{client.instance}/phone-code/{FRIEND}"
    assert address == host.base_url + link
    assert [url for url in visited.requested if "{" in url or "%7B" in url] == []
    assert visited.errors == []


@IN_A_BROWSER
async def test_docs_page_shows_qr_code_on_dark_background(
    host: RunningGateway, client: Client
) -> None:
    await client.control("connection", state="logged_out")
    await until(
        lambda: client.call("GET", "/qr-code"), lambda answer: "value" in str(answer.content)
    )
    async with visit(host, "/docs#/Instances/readQrCode", scheme="dark") as visited:
        said = await visited.authorise(client)
        operation = visited.page.locator("#operations-Instances-readQrCode")
        status = await visited.execute(operation)
        picture = operation.locator(".live-responses-table img")
        await picture.wait_for()
        width = await picture.evaluate("async image => (await image.decode(), image.naturalWidth)")
        brightness = await visited.page.evaluate(
            "Math.max(...getComputedStyle(document.querySelector('.swagger-ui')).backgroundColor"
            ".match(/[0-9]+/g).slice(0, 3).map(Number))"
        )
        await visited.page.screenshot(path=host.data_dir / "docs-dark.png")

    assert said.startswith("You are not connected.")
    assert status == "200"
    assert width > 200
    assert brightness < 64
    assert visited.errors == []


@IN_A_BROWSER
async def test_docs_page_shows_refusals_of_the_gateway(
    host: RunningGateway, client: Client
) -> None:
    async with visit(host) as visited:
        await visited.page.click("#who button")
        await visited.page.wait_for_selector("#who[data-checked=true]")
        empty = await visited.page.inner_text("#notice")
        await visited.fill_in(client)
        await visited.page.fill("[name=instanceToken]", "WRONG")
        await visited.page.click("#who button")
        await visited.page.get_by_text("The gateway refuses:").wait_for()

    assert empty == "Nothing was sent. Fill in first: Instance id, Instance token."
