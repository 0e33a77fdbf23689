"""The panel: people sign in, see what their role allows, and nothing of it leaves the page."""

import re
from typing import Literal

import httpx
import pyotp
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import ConsoleMessage, Page, async_playwright

from gateway.contract.scopes import UserRole
from gateway.users.sessions import SESSION_COOKIE
from tests.fixtures.panel import (
    PASSWORD,
    account_of,
    browser_of,
    enter,
    people_of,
    submit,
    visitor,
)
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, RunningGateway
from tests.service.test_docs_page import CHROMIUM, IN_A_BROWSER, QUIET

Scheme = Literal["light", "dark"]


async def test_a_browser_is_led_to_the_panel_and_a_program_is_not(client: Client) -> None:
    async with httpx.AsyncClient(base_url=client.demo.base_url) as http:
        led = await http.get("/", headers={"Accept": "text/html,*/*"})
        program = await http.get("/", headers={"Accept": "application/json"})
        stranger = await http.get("/panel/profile?x=1")
        assert (led.status_code, led.headers["location"]) == (303, "/panel/")
        assert program.status_code == 404
        assert program.json()["error"] == "NOT_FOUND"
        assert stranger.headers["location"] == "/panel/sign-in?next=/panel/profile%3Fx%3D1"


async def test_every_answer_has_the_headers_that_protect_it(host: RunningGateway) -> None:
    async with browser_of(host) as http:
        page = await http.get("/panel/sign-in")
        for path in ("/panel/sign-in", "/panel/nowhere", "/panel/", "/panel"):
            headers = (await http.get(path)).headers
            assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
        sizes = len(page.content)
        for path in re.findall(r'(?:href|src)="(/panel/assets/[^"]+)"', page.text):
            asset = await http.get(path)
            assert "immutable" in asset.headers["cache-control"]
            sizes += len(asset.content)
        assert sizes < 200_000
        assert " style=" not in page.text


async def test_a_user_signs_in_with_password_and_code(host: RunningGateway) -> None:
    async with people_of(host) as people, browser_of(host) as http:
        email = await people.add(UserRole.OPERATOR)
        secret = people.admin.new_second_factor()
        await people.admin.set_second_factor(email, secret, pyotp.TOTP(secret).now())

        without = await enter(http, email)
        entered = await enter(http, email, pyotp.TOTP(secret).now())

        assert without.status_code == 401
        assert "wrong" in without.text
        assert entered.status_code == 303
        cookie = next(c for c in entered.headers.get_list("set-cookie") if SESSION_COOKIE in c)
        assert {"HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Ana &lt;b&gt;" in (await http.get("/panel/profile")).text


async def test_a_link_signs_in_once(host: RunningGateway) -> None:
    async with people_of(host) as people, browser_of(host) as http:
        user = await people.admin.find(await people.add(UserRole.OPERATOR))
        path = f"/panel/link/{await people.sign_in.issue_link(user.id)}"
        assert (await http.get(path)).status_code == 200

        first = await submit(http, path, path)
        async with browser_of(host) as other:
            second = await submit(other, path, path)

        assert first.headers["location"] == "/panel/"
        assert second.status_code == 401
        assert path.rpartition("/")[2] not in host.log


@pytest.mark.parametrize("role", list(UserRole))
async def test_each_role_sees_its_pages(
    role: UserRole, client: Client, host: RunningGateway
) -> None:
    own = None if role is UserRole.OPERATOR else await account_of(client)
    async with people_of(host) as people, browser_of(host) as http:
        await enter(http, await people.add(role, own))

        start = await http.get("/panel/")

        assert start.status_code == 200
        assert ('action="/panel/switch/account"' in start.text) is False
        assert ("/panel/switch/accounts" in start.text) is (role is UserRole.OPERATOR)
        assert client.demo.instance_token not in start.text
        if own:
            assert client.demo.instance_id in start.text


async def test_a_change_without_the_token_of_its_session_changes_nothing(
    host: RunningGateway,
) -> None:
    async with people_of(host) as people, browser_of(host) as http:
        email = await people.add(UserRole.OPERATOR)
        await enter(http, email)

        forged = await http.post("/panel/profile", data={"name": "Eve", "language": "en"})
        foreign = await http.post(
            "/panel/profile", data={"name": "Eve"}, headers={"Sec-Fetch-Site": "cross-site"}
        )

        assert (forged.status_code, foreign.status_code) == (403, 403)
        assert (await people.admin.find(email)).name == "Ana <b>"


async def test_a_session_that_ended_leads_to_the_sign_in_page(host: RunningGateway) -> None:
    async with people_of(host) as people, browser_of(host) as http:
        email = await people.add(UserRole.OPERATOR)
        await enter(http, email)
        await http.get("/panel/profile")
        await people.admin.set_disabled(email, disabled=True)

        page = await http.post("/panel/profile", data={"name": "Eve"})
        part = await http.get(
            "/panel/switch/instances",
            headers={"HX-Request": "true", "HX-Current-URL": f"{host.base_url}/panel/profile"},
        )

        assert page.headers["location"] == "/panel/sign-in?next=/panel/profile"
        assert part.headers["hx-redirect"] == "/panel/sign-in?next=/panel/profile"


async def test_the_stream_of_a_tab_ends_with_its_session(host: RunningGateway) -> None:
    async with people_of(host) as people, browser_of(host) as http:
        email = await people.add(UserRole.OPERATOR)
        await enter(http, email)
        async with http.stream("GET", "/panel/live?topics=") as stream:
            assert stream.status_code == 200
            await people.admin.set_disabled(email, disabled=True)
            lines = [line async for line in stream.aiter_lines()]
        assert "event: ended" in lines


@IN_A_BROWSER
async def test_pages_have_no_error_and_no_barrier_in_a_browser(
    client: Client, host: RunningGateway
) -> None:
    account_id = await account_of(client)
    async with people_of(host) as people, async_playwright() as playwright:
        email = await people.add(UserRole.OWNER, account_id)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = await browser.new_page(locale="en")
        page.set_default_timeout(PATIENCE_SECONDS * 1_000)
        problems: list[str] = []
        page.on(
            "console", lambda said: problems.append(said.text) if said.type == "error" else None
        )
        page.on("pageerror", lambda error: problems.append(str(error)))

        await check(
            page, f"{host.base_url}/panel/sign-in", problems, (390, "light"), (1280, "dark")
        )
        await page.fill("[name=email]", email)
        await page.fill("[name=password]", PASSWORD)
        await page.click("button:has-text('Sign in')")
        await page.wait_for_url("**/panel/")
        await check(page, f"{host.base_url}/panel/", problems, (390, "dark"), (1280, "light"))
        await browser.close()
    assert problems == []


def note(said: ConsoleMessage, problems: list[str]) -> None:
    if said.type == "error":
        problems.append(said.text)


async def check(page: Page, url: str, problems: list[str], *shown: tuple[int, Scheme]) -> None:
    """Adds what is wrong with a page: barriers, and what is wider than the screen."""
    for width, scheme in shown:
        await page.set_viewport_size({"width": width, "height": 844})
        await page.emulate_media(color_scheme=scheme)
        await page.goto(url)
        found = await Axe().run(page)
        problems += [f"{url} {width} {scheme}: {v['id']}" for v in found.response["violations"]]
        if await page.evaluate("document.documentElement.scrollWidth") > width:
            problems.append(f"{url} {width}: scrolls sideways")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/panel/audit", {"user": "a\0b"}),
        ("/panel/instances", {"q": "a\0b"}),
        ("/panel/messages", {"q": "\0"}),
        ("/panel/queue/failed", {"type": "\0"}),
        ("/panel/audit", {"until": "9999-12-31"}),
    ],
)
async def test_no_address_that_a_stranger_may_write_is_a_fault_of_the_gateway(
    path: str, fields: dict[str, str], client: Client, host: RunningGateway
) -> None:
    async with visitor(host, client) as owner:
        shown = await owner.http.get(path, params=fields)

        assert shown.status_code == 200


async def test_a_form_with_a_nul_is_refused(client: Client, host: RunningGateway) -> None:
    async with visitor(host, client) as owner, browser_of(host) as stranger:
        saved = await owner.post("/panel/profile", name="Eve\0", language="en")
        profile = await owner.get("/panel/profile")
        path = f"/panel/chats/5511999999999/send?instance={owner.instance_id}"
        sent = await owner.post(path, message="A hidden end\0", files={"file": ("", b"")})
        entered = await enter(stranger, "eve\0@example.com")

        assert [saved.status_code, sent.status_code, entered.status_code] == [303, 303, 400]
        assert "Eve" not in profile.text
        queue = await owner.get(f"/panel/queue?instance={owner.instance_id}")
        assert "A hidden end" not in queue.text


async def test_the_address_of_a_form_leads_to_its_page(
    client: Client, host: RunningGateway
) -> None:
    async with visitor(host, client) as owner:
        number = f"/panel/instances/{owner.instance_id}"
        led = {
            path: (await owner.get(path)).headers.get("location")
            for path in (f"{number}/link", f"{number}/link/revoke", "/panel/preferences/theme")
        }
        asked = await owner.get(f"/panel/queue/pause?instance={owner.instance_id}")

        assert led == {
            f"{number}/link": number,
            f"{number}/link/revoke": number,
            "/panel/preferences/theme": "/panel/",
        }
        assert asked.headers["location"] == f"/panel/queue?instance={owner.instance_id}"
