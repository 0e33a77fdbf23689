"""The page at /docs, in a real browser."""

import shutil

import pytest
from playwright.async_api import ConsoleMessage, Page, Request, async_playwright

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, RunningGateway

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


async def test_the_page_asks_for_nothing_elsewhere(client: Client) -> None:
    page = await client.http.get("/docs")

    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png", "page.js"):
        assert f"/docs/{name}" in page.text
        assert (await client.http.get(f"/docs/{name}")).status_code == 200
    assert (await client.http.get("/docs/index.html")).status_code == 404
    assert (await client.http.get("/docs/..%2fdocs.py")).status_code == 404
    document = (await client.http.get("/openapi.json")).json()
    assert document["servers"] == [{"url": "/"}]


@pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")
async def test_a_text_is_sent_from_the_page(gateway: RunningGateway, client: Client) -> None:
    asked: list[str] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def remember(request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            asked.append(request.url)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1_000)
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", remember)
        await page.goto(f"{gateway.base_url}/docs")
        await send_text_by_hand(page, client)
        await page.screenshot(path=gateway.data_dir / "docs.png")
        kept = await page.evaluate(
            "JSON.stringify([localStorage, sessionStorage]) + document.cookie"
        )
        await browser.close()

    (sent,) = await client.sent_at_least(1)
    assert sent["payload"]["message"] == "from the page"
    assert complaints == []
    assert {url for url in asked if not url.startswith(gateway.base_url)} == set()
    assert client.demo.client_token not in kept
    assert client.demo.instance_token not in kept


async def send_text_by_hand(page: Page, client: Client) -> None:
    demo = client.demo
    await page.fill("[name=instanceId]", demo.instance_id)
    await page.fill("[name=instanceToken]", demo.instance_token)
    await page.fill("[name=clientToken]", demo.client_token)
    await page.click("#who button")
    await page.wait_for_selector("#who[data-ready=true]")
    route = page.locator(".opblock", has=page.locator("[data-path$='/send-text']"))
    if not await route.is_visible():
        await page.locator("[data-tag=Messages] .expand-operation").click()
    await route.locator(".opblock-summary-control").click()
    await route.locator("textarea").fill('{"phone": "5511999999999", "message": "from the page"}')
    await route.locator("button.execute").click()
    answer = route.locator(".live-responses-table tbody .response-col_status").first
    await answer.wait_for()
    assert (await answer.inner_text()).strip().startswith("200")
