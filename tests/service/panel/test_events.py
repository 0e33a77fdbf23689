"""Live events in the panel: filtered, resumed, bounded, and over with the session."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from playwright.async_api import async_playwright

from gateway.contract.scopes import UserRole
from gateway.panel.live import MAX_STREAMS_PER_USER
from gateway.users.sessions import SESSION_COOKIE
from tests.fixtures.panel import Visitor, people_of, visitor
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, RunningGateway
from tests.service.test_docs_page import CHROMIUM, IN_A_BROWSER, QUIET

ANA = "5511988887777"
STREAM = "/panel/events/stream"


class Follower:
    """Reads a stream of the panel."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer, self._lines = answer, answer.aiter_lines()

    async def next(self) -> tuple[str, dict[str, Any]]:
        """Returns the id and the content of the next event."""
        found: dict[str, str] = {}
        async for line in self._lines:
            name, _, value = line.partition(": ")
            found[name] = value
            if not line and "data" in found:
                return found["id"], json.loads(found["data"])
        raise AssertionError("the stream ended")

    async def opened(self) -> None:
        async for line in self._lines:
            if line == ": open":
                return

    async def rest(self) -> list[str]:
        return [line async for line in self._lines]


@asynccontextmanager
async def following(person: Visitor, query: str = "", **headers: str) -> AsyncIterator[Follower]:
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        person.http.stream("GET", f"{STREAM}?{query}", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        follower = Follower(answer)
        await follower.opened()
        yield follower


@pytest.mark.parametrize("role", list(UserRole))
async def test_each_role_follows_only_its_own_account(
    role: UserRole, client: Client, host: RunningGateway
) -> None:
    other = host.demo().instance_id
    async with visitor(host, client, role) as person:
        page = await person.get(f"/panel/events?instance={client.demo.instance_id}")
        if role is not UserRole.OPERATOR:
            assert (await person.get(f"{STREAM}?instance={other}")).status_code == 404
        async with following(person, f"instance={client.demo.instance_id}") as follower:
            await client.control("receive", phone=ANA, text={"message": "</pre><b>hi"})
            _id, event = await follower.next()
    assert page.status_code == 200
    assert f'value="{client.demo.instance_id}" selected' in page.text
    assert event["type"] == "ReceivedCallback"
    assert event["instance"] == client.demo.instance_id
    assert event["body"]["text"]["message"] == "</pre><b>hi"


async def test_reader_comes_back_where_it_was_and_filters(
    client: Client, host: RunningGateway
) -> None:
    async with visitor(host, client) as person:
        async with following(person) as follower:
            await client.control("receive", phone=ANA, text={"message": "first"})
            last, _event = await follower.next()
        await client.control("receive", phone=ANA, text={"message": "second"})
        await client.control("presence", phone=ANA, status="composing")
        async with following(person, f"after={last}") as follower:
            _id, second = await follower.next()
        async with following(
            person, "type=PresenceChatCallback", **{"Last-Event-ID": last}
        ) as follower:
            _id, presence = await follower.next()
        wrong = await person.get(f"{STREAM}?after=nonsense")
    assert second["body"]["text"]["message"] == "second"
    assert presence["type"] == "PresenceChatCallback"
    assert wrong.status_code == 400


async def test_stream_ends_with_the_session_and_is_limited(
    client: Client, host: RunningGateway
) -> None:
    async with people_of(host) as people, visitor(host, client, UserRole.OPERATOR) as person:
        query = f"instance={client.demo.instance_id}"
        async with following(person, query) as follower:
            await people.admin.set_disabled(person.email, disabled=True)
            rest = await follower.rest()
    async with visitor(host, client) as person, asyncio.TaskGroup() as group:
        done = asyncio.Event()
        started = asyncio.Semaphore(0)

        async def follow() -> None:
            async with following(person):
                started.release()
                await done.wait()

        for _ in range(MAX_STREAMS_PER_USER):
            group.create_task(follow())
        for _ in range(MAX_STREAMS_PER_USER):
            await started.acquire()
        one_more = await person.get(STREAM)
        done.set()
    assert "event: ended" in rest
    assert one_more.status_code == 429


@IN_A_BROWSER
async def test_page_pauses_opens_json_and_comes_back(client: Client, host: RunningGateway) -> None:
    async with visitor(host, client) as person, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = await browser.new_page(viewport={"width": 390, "height": 800})
        page.set_default_timeout(PATIENCE_SECONDS * 1_000)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.context.add_cookies(
            [{"name": SESSION_COOKIE, "value": person.session, "url": host.base_url}]
        )
        await page.goto(f"{host.base_url}/panel/events")
        state, events = page.locator("[data-events-state]"), page.locator(".event")
        await state.get_by_text("Connected").wait_for()
        await client.control("receive", phone=ANA, text={"message": "<img src=x onerror=y()>"})
        await events.first.click()
        await page.locator(
            ".event code", has_text='"message": "<img src=x onerror=y()>"'
        ).wait_for()
        await page.click("[data-events-pause]")
        await client.control("receive", phone=ANA, text={"message": "while paused"})
        await state.get_by_text("1 new while paused").wait_for()
        while_paused = await events.count()
        await page.click("[data-events-pause]")
        await events.nth(1).wait_for()

        # The network goes away: an event of that time is shown after it came back.
        await page.context.set_offline(True)
        await page.evaluate("dispatchEvent(new Event('pagehide'))")
        await page.evaluate("dispatchEvent(new Event('pageshow'))")
        await state.get_by_text("Connection lost").wait_for()
        await client.control("receive", phone=ANA, text={"message": "while away"})
        await page.context.set_offline(False)
        await events.nth(2).wait_for()
        await events.first.click()
        await page.locator(".event code", has_text="while away").wait_for()
        wide = await page.evaluate("document.documentElement.scrollWidth")
        pictures = await page.locator(".event img").count()
        await browser.close()
    assert (while_paused, pictures) == (1, 0)
    assert wide <= 390
    assert problems == []
