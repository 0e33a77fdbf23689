"""The queue and the messages in the panel: what people see, what they may do, what it changes."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.async_api import async_playwright

from gateway.contract.scopes import UserRole
from tests.fixtures.panel import PASSWORD, TOKEN, account_of, browser_of, people_of
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, NewHouse, RunningGateway, guest_of, until
from tests.service.panel.test_panel import check
from tests.service.test_docs_page import CHROMIUM, IN_A_BROWSER, QUIET

HOSTILE = "<script>alert(1)</script>\u202e\U0001f680" + "x" * 200
QUEUE = "/panel/queue"


@pytest.fixture(scope="module")
def slow_house(new_house: NewHouse) -> Iterator[RunningGateway]:
    """A gateway whose queues wait, so that there is something to see."""
    with new_house(GATEWAY_PACE_MIN_SECONDS="600", GATEWAY_PACE_MAX_SECONDS="600") as gateway:
        yield gateway


@pytest.fixture
async def shop(slow_house: RunningGateway) -> AsyncIterator[Client]:
    async with guest_of(slow_house) as client:
        yield client


class Visitor:
    """A user in a browser, on the pages of one instance."""

    def __init__(self, http: httpx.AsyncClient, client: Client, email: str) -> None:
        self.http, self.client, self.email = http, client, email

    async def open(self, path: str, **parameters: Any) -> httpx.Response:
        return await self.http.get(
            path, params={"instance": self.client.demo.instance_id, **parameters}
        )

    async def press(self, path: str, **fields: Any) -> httpx.Response:
        found = TOKEN.search((await self.http.get("/panel/profile")).text)
        assert found is not None
        instance = self.client.demo.instance_id
        return await self.http.post(
            path, data={"csrf_token": found[1], "instance": instance, **fields}
        )

    async def read(self, path: str) -> Any:
        return (await self.client.call("GET", path)).json()


@asynccontextmanager
async def visiting(
    host: RunningGateway, client: Client, role: UserRole = UserRole.OWNER
) -> AsyncIterator[Visitor]:
    async with people_of(host) as people:
        email = await people.add(role, await account_of(client), password=None)
        session = await people.session_of(email)
    async with browser_of(host, session=session) as http:
        yield Visitor(http, client, email)


async def test_the_queue_shows_each_lane_with_its_reasons(
    shop: Client, slow_house: RunningGateway
) -> None:
    await shop.send_text("first")
    await until(lambda: shop.call("GET", "/queue/lanes"), lambda a: a.json()["sending"])
    await shop.send_text(HOSTILE, phone="5511966660001")
    await shop.send_text("a campaign", priority="bulk", phone="5511966660002")
    async with visiting(slow_house, shop) as visitor:
        page = (await visitor.open(QUEUE)).text
        lane = (await visitor.open(f"{QUEUE}/lane/bulk")).text
        part = (await visitor.open(f"{QUEUE}/lanes")).text

    assert "Empty in about" in page
    assert "The next one. A short pause until" in page
    assert "After 1 other message." in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in part
    assert "<script>alert" not in page + part
    assert "+5511966660002" in lane
    assert "+5511966660001" not in lane


async def test_pausing_says_who_did_it_and_resuming_sends_on(
    shop: Client, slow_house: RunningGateway
) -> None:
    async with visiting(slow_house, shop) as one, visiting(slow_house, shop) as other:
        await one.press(f"{QUEUE}/pause")
        seen = (await other.open(f"{QUEUE}/state")).text
        stats = await one.read("/queue/stats")
        await other.press(f"{QUEUE}/resume")
        after = (await one.open(f"{QUEUE}/state")).text
        audited = await shop.http.get(
            "/account/audit", headers={"Authorization": f"Bearer {shop.demo.partner_token}"}
        )

    assert stats["paused"] is True
    assert "Sending is paused" in seen
    assert f"Paused by {one.email}" in seen
    assert f"Resumed by {other.email}" in after
    acts = {(each["act"], each["user"]) for each in audited.json()}
    assert {("PauseQueue", one.email), ("ResumeQueue", other.email)} <= acts


async def test_a_form_changes_the_number_that_its_page_showed(slow_house: RunningGateway) -> None:
    async with guest_of(slow_house) as shop, visiting(slow_house, shop) as visitor:
        made = await shop.http.post(
            "/instances/integrator/on-demand",
            headers={"Authorization": f"Bearer {shop.demo.partner_token}"},
            json={"name": "Other"},
        )
        page = await visitor.open(QUEUE)
        await visitor.http.get(QUEUE, params={"instance": made.json()["id"]})  # another tab
        token = TOKEN.search(page.text)
        assert token is not None
        await visitor.http.post(
            f"{QUEUE}/pause",
            data={"csrf_token": token[1], "instance": shop.demo.instance_id},
        )

        assert (await visitor.read("/queue/stats"))["paused"] is True


async def test_a_message_moves_is_canceled_and_is_sent_again(
    shop: Client, slow_house: RunningGateway
) -> None:
    await shop.call("POST", "/queue/pause")
    ids = [(await shop.send_text(f"number {n}"))["zaapId"] for n in range(3)]
    async with visiting(slow_house, shop) as visitor:
        await visitor.press(f"{QUEUE}/front", id=ids[2])
        moved = await visitor.read("/queue/lanes/normal")
        await visitor.press(f"{QUEUE}/cancel", id=ids[1])
        left = await visitor.read("/queue/lanes/normal")
        again = await visitor.press(f"{QUEUE}/cancel", id=ids[1])

    assert moved["messages"][0]["zaapId"] == ids[2]
    assert {each["zaapId"] for each in left["messages"]} == {ids[0], ids[2]}
    assert again.status_code == 303  # back to the page, which says that it no longer waits


async def test_what_failed_says_why_and_is_sent_again(client: Client, host: RunningGateway) -> None:
    await client.control("faults", next=["permanent", "permanent"])
    ids = [(await client.send_text("lost"))["zaapId"] for _ in range(2)]
    await until(
        lambda: client.call("GET", "/queue/failed?latestFirst=true"),
        lambda answer: len(answer.json()["messages"]) == len(ids),
    )
    async with visiting(host, client) as visitor:
        page = (await visitor.open(f"{QUEUE}/failed")).text
        await visitor.press(f"{QUEUE}/retry", id=ids[0])
        await visitor.press(f"{QUEUE}/failed/retry")
        await client.sent_at_least(2)
        wrong = await visitor.press(f"{QUEUE}/retry", id=ids[0])

    assert page.count("WhatsApp refused the message.") >= len(ids)
    assert page.count("Send again") >= len(ids)
    assert wrong.headers["location"].startswith("/panel/")


async def test_clearing_needs_the_number_and_spares_what_came_later(
    shop: Client, slow_house: RunningGateway
) -> None:
    await shop.call("POST", "/queue/pause")
    for _ in range(2):
        await shop.send_text("news", trackId="news")
    await shop.send_text("order", trackId="order")
    async with visiting(slow_house, shop) as visitor:
        page = (await visitor.open(f"{QUEUE}/clear", check=1, reference="news")).text
        before = re.search(r'name="before" value="([^"]+)"', page)
        assert before is not None
        fields = {"reference": "news", "count": "2", "before": before[1]}
        await shop.send_text("news that came later", trackId="news")
        await visitor.press(f"{QUEUE}/clear", **fields, typed="3")
        untouched = await visitor.read("/queue/count")
        await visitor.press(f"{QUEUE}/clear", **{**fields, "count": "1"}, typed="1")
        refused = await visitor.read("/queue/count")
        await visitor.press(f"{QUEUE}/clear", **fields, typed="2")
        left = await visitor.read("/queue/lanes/normal")

    assert "<strong>2</strong>" in page
    assert untouched["count"] == refused["count"] == 4
    assert [each["message"] for each in left["messages"]] == ["order", "news that came later"]


async def test_the_calendar_counts_days_in_the_zone_of_the_visitor(
    shop: Client, slow_house: RunningGateway
) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).replace(hour=1, minute=30)
    day = (tomorrow - timedelta(days=1)).date()  # 22:30 of the day before, in Sao Paulo
    await shop.send_text("later", scheduledFor=tomorrow.isoformat())
    async with visiting(slow_house, shop) as visitor:
        visitor.http.cookies.set("gateway_panel_zone", "America/Sao_Paulo")
        shown = (await visitor.open(f"{QUEUE}/scheduled", month=f"{day:%Y-%m}")).text
        of_day = (await visitor.open(f"{QUEUE}/scheduled", day=day.isoformat())).text
        empty = await visitor.open(f"{QUEUE}/scheduled", month="0000-99", day="never")

    assert f"day={day}#day" in shown
    assert "10:30" in of_day
    assert "later" in of_day
    assert empty.status_code == 200


async def test_the_pace_is_changed_and_a_wrong_one_is_refused(
    shop: Client, slow_house: RunningGateway
) -> None:
    async with visiting(slow_house, shop) as visitor:
        await visitor.press(
            f"{QUEUE}/settings", paceMinSeconds="5", paceMaxSeconds="9", dailyLimit="70"
        )
        await visitor.press(f"{QUEUE}/settings", paceMinSeconds="9", paceMaxSeconds="5")
        settings = await visitor.read("/queue/settings")
        page = (await visitor.open(QUEUE)).text

    assert (settings["paceMinSeconds"], settings["paceMaxSeconds"]) == (5, 9)
    assert "5 to 9 seconds" in page
    assert "0 of 70 sent today" in page


async def test_the_search_finds_by_phone_id_and_day(client: Client, host: RunningGateway) -> None:
    mine = await client.send_text(HOSTILE, phone="5511977770001")
    await client.send_text("somebody else", phone="5511977770002")
    await client.sent_at_least(2)
    today = datetime.now(UTC).date()
    async with visiting(host, client) as visitor:
        by_phone = (await visitor.open("/panel/messages", q="+55 (11) 97777-0001")).text
        by_id = (await visitor.open("/panel/messages", q=mine["zaapId"])).text
        old = (await visitor.open("/panel/messages", to=str(today - timedelta(days=2)))).text
        wrong = (await visitor.open("/panel/messages", **{"from": "yesterday"})).text

    for page in (by_phone, by_id):
        assert "&lt;script&gt;" in page
        assert "<script>alert" not in page
        assert "somebody else" not in page
    assert "Nothing found" in old
    assert "Write a day such as" in wrong


async def test_the_search_goes_on_where_a_page_ended(
    shop: Client, slow_house: RunningGateway
) -> None:
    for number in range(51):
        await shop.send_text(f"number {number:03}")
    async with visiting(slow_house, shop) as visitor:
        first = (await visitor.open("/panel/messages")).text
        onward = re.search(r'href="(/panel/messages\?[^"]*after=[^"]*)"', first)
        assert onward is not None
        second = (await visitor.http.get(onward[1].replace("&amp;", "&"))).text

    numbers = re.findall(r"number \d{3}", first + second)
    assert len(numbers) == len(set(numbers)) == 51


async def test_a_message_has_a_line_of_time(client: Client, host: RunningGateway) -> None:
    await client.control("faults", next=[{"fault": "transient", "afterSeconds": 0}])
    sent = await client.send_text("hello")
    await until(
        lambda: client.call("GET", f"/messages/{sent['messageId']}"),
        lambda answer: answer.json()["status"] in {"delivered", "read"},
    )
    async with visiting(host, client) as visitor:
        page = (await visitor.open(f"/panel/messages/{sent['zaapId']}")).text
        unknown = await visitor.open("/panel/messages/nothing")

    steps = (
        "Accepted by",
        "Attempt 1 failed",
        "Attempt 2 worked",
        "Sent: WhatsApp",
        "Delivered to the",
    )
    places = [page.index(step) for step in steps]
    assert places == sorted(places)
    assert f'data-copy="{sent["messageId"]}"' in page
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("role", "may_pause", "may_cancel"),
    [(UserRole.OWNER, True, True), (UserRole.AGENT, False, True), (UserRole.VIEWER, False, False)],
)
async def test_each_role_sees_and_does_what_it_may(
    role: UserRole,
    may_pause: bool,  # noqa: FBT001 - a parameter of the test
    may_cancel: bool,  # noqa: FBT001 - a parameter of the test
    shop: Client,
    slow_house: RunningGateway,
) -> None:
    await shop.send_text("first")
    await until(lambda: shop.call("GET", "/queue/lanes"), lambda a: a.json()["sending"])
    second = await shop.send_text("second")
    async with visiting(slow_house, shop, role) as visitor:
        page = (await visitor.open(QUEUE)).text
        paused = await visitor.press(f"{QUEUE}/pause")
        canceled = await visitor.press(f"{QUEUE}/cancel", id=second["zaapId"])
        pages = [(await visitor.open(QUEUE + end)).status_code for end in ("/clear", "/settings")]

    assert ("Pause sending" in page) is may_pause
    assert ("Cancel the message" in page) is may_cancel
    assert paused.status_code == (303 if may_pause else 403)
    assert canceled.status_code == (303 if may_cancel else 403)
    assert pages == [200 if may_pause else 403] * 2


async def test_another_account_is_not_found(shop: Client, slow_house: RunningGateway) -> None:
    sent = await shop.send_text("private")
    async with guest_of(slow_house) as stranger, visiting(slow_house, stranger) as visitor:
        instance = shop.demo.instance_id
        paths = ("", "/lanes", "/state", "/failed", "/scheduled", "/lane/normal", "/clear")
        answers = [
            await visitor.http.get(QUEUE + end, params={"instance": instance}) for end in paths
        ]
        answers.append(
            await visitor.http.get(
                f"/panel/messages/{sent['zaapId']}", params={"instance": instance}
            )
        )
        answers.append(await visitor.press(f"{QUEUE}/cancel", instance=instance, id=sent["zaapId"]))
        here = await visitor.open(f"/panel/messages/{sent['zaapId']}")

    assert {answer.status_code for answer in (*answers, here)} == {404}
    assert "private" not in "".join(answer.text for answer in answers)


@IN_A_BROWSER
async def test_the_queue_follows_what_happens_without_a_reload(
    shop: Client, slow_house: RunningGateway
) -> None:
    await shop.call("POST", "/queue/pause")
    await shop.send_text(HOSTILE)
    problems: list[str] = []
    async with people_of(slow_house) as people, async_playwright() as playwright:
        email = await people.add(UserRole.OWNER, await account_of(shop))
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = await browser.new_page(locale="en")
        page.set_default_timeout(PATIENCE_SECONDS * 1_000)
        page.on(
            "console", lambda said: problems.append(said.text) if said.type == "error" else None
        )
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.goto(f"{slow_house.base_url}/panel/sign-in")
        await page.fill("[name=email]", email)
        await page.fill("[name=password]", PASSWORD)
        await page.click("button:has-text('Sign in')")
        await page.wait_for_url("**/panel/")
        base = f"{slow_house.base_url}{QUEUE}"
        await check(page, f"{base}/scheduled", problems, (390, "light"))
        await check(page, base, problems, (390, "light"), (1280, "dark"))

        await shop.send_text("came while the page was open", phone="5511966660009")
        await page.wait_for_selector("text=+5511966660009")
        await shop.call("POST", "/queue/resume")
        await page.wait_for_selector("h2:has-text('Sending'):not(:has-text('paused'))")
        await page.click("button:has-text('Pause sending')")
        await page.wait_for_selector("h2:has-text('Sending is paused')")
        await browser.close()
    assert problems == []
