"""Chats in the panel: unread first, with media, live, and replies that go through the queue."""

import re
from typing import Any

import pytest
from playwright.async_api import async_playwright
from psycopg import AsyncConnection

from gateway.contract.scopes import UserRole
from gateway.users.sessions import SESSION_COOKIE
from tests.fixtures.panel import Visitor, visitor
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, RunningGateway, until
from tests.service.test_docs_page import CHROMIUM, IN_A_BROWSER, QUIET

ANA, BOB = "5511988887777", "5511977776666"
HOSTILE = '<img src=x onerror=alert(1)> "Bob"'
SVG = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="
_EARLIER = """
with copied as (
    insert into messages (instance_id, message_id, recorded_at, created_at, version, from_me,
        status, phone, sender, type, payload)
    select instance_id, message_id || n, recorded_at - n * interval '1 s',
        created_at - n * interval '1 s', version, from_me, status, phone, sender, type,
        jsonb_set(payload, '{text,message}', to_jsonb('text ' || n))
    from messages, generate_series(3, 53) n where instance_id = %(instance_id)s
    returning instance_id, message_id, recorded_at
)
insert into message_ids (instance_id, message_id, recorded_at) select * from copied
"""


async def written(client: Client, phone: str, **content: Any) -> None:
    await client.control("receive", phone=phone, **content)


async def opened(person: Visitor, phone: str, *texts: str) -> str:
    """Returns the page of a chat once it shows these texts."""

    async def look() -> str:
        return (await person.get(f"/panel/chats/{phone}")).text

    return await until(look, lambda text: all(each in text for each in texts))


def order_of(text: str) -> list[str]:
    return re.findall(r'data-key="([0-9]{8,})"', text)


async def test_list_is_searched_and_shows_unread_chats_first(
    client: Client, host: RunningGateway
) -> None:
    await written(client, BOB, senderName=HOSTILE, text={"message": "<b>old</b>"})
    async with visitor(host, client) as person:
        await opened(person, BOB, "&lt;b&gt;old&lt;/b&gt;")
        marked = await person.post(f"/panel/chats/{BOB}/read")
        await written(client, ANA, senderName="Ana Lima", text={"message": "first"})
        await opened(person, ANA, "first")
        await written(client, BOB, senderName=HOSTILE, text={"message": "newer"})
        await opened(person, BOB, "newer")
        await person.post(f"/panel/chats/{BOB}/read")
        page = (await person.get("/panel/chats")).text
        found = (await person.get("/panel/chats?q=ana+l")).text
        by_number = (await person.get("/panel/chats?q=%2B55+(11)+97777-6666")).text
        nothing = (await person.get("/panel/chats?q=nobody")).text

    assert marked.status_code == 303
    assert order_of(page) == [ANA, BOB]  # Bob wrote last, and was read
    assert HOSTILE not in page
    assert "&lt;img src=x" in page
    assert order_of(found) == [ANA]
    assert order_of(by_number) == [BOB]
    assert "No chat found" in nothing


async def test_chat_shows_pictures_and_no_svg(client: Client, host: RunningGateway) -> None:
    await written(client, ANA, image={"caption": "mine"})
    await written(client, ANA, image={"source": SVG, "caption": "drawn"})
    async with visitor(host, client) as person:
        text = await opened(person, ANA, "mine", "drawn")
        shown = re.findall(r'<img src="(/media/[^"]+)"', text)
        files = re.findall(r'class="bubble-file" href="(/media/[^"]+)"', text)
        answers = [await person.get(path.replace("&amp;", "&")) for path in (*shown, *files)]

    assert (len(shown), len(files)) == (1, 1)
    assert answers[0].headers["content-type"].startswith("image/")
    assert "svg" not in answers[0].headers["content-type"]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[1].headers["content-disposition"].startswith("attachment")


async def test_reply_is_queued_once_with_its_file(client: Client, host: RunningGateway) -> None:
    path = f"/panel/chats/{ANA}/send?instance={client.demo.instance_id}"
    file = {"file": ("note.pdf", b"%PDF-1.4\n%%EOF\n", "application/pdf")}
    async with visitor(host, client, UserRole.AGENT) as person:
        empty = await person.post(path, message=" ")
        sent = [await person.post(path, message="hello", key="k1") for _ in range(2)]
        with_file = await person.post(path, files=file, message="the note", key="k2")
        page = await opened(person, ANA, "hello", "the note", "note.pdf")
        gone = await person.post("/panel/chats/0/send", message="x")

    rows = await client.sent_at_least(2)
    assert empty.status_code == 303
    assert [each.headers["location"] for each in sent] == [
        f"/panel/chats/{ANA}?instance={client.demo.instance_id}"
    ] * 2
    assert with_file.status_code == 303
    assert [row["type"] for row in rows] == ["send-text", "send-document"]
    assert rows[1]["payload"]["caption"] == "the note"
    assert "bubble-own" in page
    assert gone.status_code == 303  # back, with the text of the error


async def test_forged_upload_is_refused(client: Client, host: RunningGateway) -> None:
    async with visitor(host, client) as person:
        forged = await person.http.post(
            f"/panel/chats/{ANA}/send", data={"message": "x"}, files={"file": ("a.txt", b"a")}
        )
    assert forged.status_code == 403
    assert await client.sent() == []


async def test_viewer_reads_and_sends_nothing(client: Client, host: RunningGateway) -> None:
    await written(client, ANA, text={"message": "hi"})
    async with visitor(host, client, UserRole.VIEWER) as person:
        page = await opened(person, ANA, "hi")
        refused = [
            await person.post(f"/panel/chats/{ANA}/{act}", message="x") for act in ("send", "read")
        ]
    assert "<textarea" not in page
    assert "Mark as read" not in page
    assert [each.status_code for each in refused] == [403, 403]


async def test_chats_of_another_account_are_unknown(client: Client, host: RunningGateway) -> None:
    async with visitor(host, client) as person:
        foreign = f"instance={host.demo().instance_id}"
        answers = [
            await person.get(f"/panel/chats?{foreign}"),
            await person.get(f"/panel/chats/{ANA}/messages?{foreign}"),
            await person.post(f"/panel/chats/{ANA}/send?{foreign}", message="x"),
        ]
    assert [each.status_code for each in answers] == [404, 404, 404]


async def test_unchanged_part_is_not_sent_again(client: Client, host: RunningGateway) -> None:
    await written(client, ANA, image={"caption": "mine"})
    async with visitor(host, client) as person:
        await opened(person, ANA, "mine")
        path = f"/panel/chats/{ANA}/messages?instance={client.demo.instance_id}"
        first = await person.get(path)
        again = await person.get(path, if_none_match=first.headers["etag"])
        await written(client, ANA, text={"message": "more"})
        await opened(person, ANA, "more")
        changed = await person.get(path, if_none_match=first.headers["etag"])
    assert (again.status_code, changed.status_code) == (304, 200)
    assert "set-cookie" not in first.headers


async def test_long_chat_is_shown_in_parts(client: Client, host: RunningGateway) -> None:
    await written(client, ANA, text={"message": "text 99"})
    async with visitor(host, client) as person:
        await opened(person, ANA, "text 99")
        async with await AsyncConnection.connect(host.environment["DATABASE_URL"]) as connection:
            await connection.execute(_EARLIER, {"instance_id": client.demo.instance_id})
        newest = await opened(person, ANA, "text 99")
        more = re.search(r'href="(/panel/chats/[^"]+before=[^"]+)"', newest)
        assert more is not None
        older = (await person.get(more[1].replace("&amp;", "&"))).text
    assert newest.index("text 51") < newest.index("text 11") < newest.rindex("text 99")
    assert "text 52" not in newest
    assert "text 52" in older
    assert "Latest messages" in older


@IN_A_BROWSER
@pytest.mark.parametrize("width", [390])
async def test_open_chat_is_live_and_fits_a_phone(
    width: int, client: Client, host: RunningGateway
) -> None:
    await written(client, ANA, senderName="Ana", image={"caption": "look"})
    async with visitor(host, client) as person, async_playwright() as playwright:
        await opened(person, ANA, "look")
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = await browser.new_page(viewport={"width": width, "height": 800})
        page.set_default_timeout(PATIENCE_SECONDS * 1_000)
        problems: list[str] = []
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.context.add_cookies(
            [{"name": SESSION_COOKIE, "value": person.session, "url": host.base_url}]
        )
        await page.goto(f"{host.base_url}/panel/chats/{ANA}")
        await page.evaluate("document.querySelector('.bubble').mark = 'kept'")
        await page.focus("#f-message")
        await written(client, ANA, text={"message": "arrived meanwhile"})
        await page.get_by_text("arrived meanwhile").last.wait_for()
        kept = await page.evaluate("document.querySelector('.bubble').mark")
        focused = await page.evaluate("document.activeElement.id")
        await page.fill("#f-message", "typed in the page")
        await page.keyboard.press("Enter")
        await page.locator(".bubble-own", has_text="typed in the page").wait_for()
        wide = await page.evaluate("document.documentElement.scrollWidth")
        await browser.close()
    assert (kept, focused) == ("kept", "f-message")
    assert wide <= width
    assert problems == []
