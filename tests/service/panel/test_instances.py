"""The pages of numbers: find one, link its phone, see a message go, set it up, delete it."""

import html
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from psycopg.sql import SQL

from gateway.contract.scopes import UserRole
from tests.fixtures.panel import (
    TOKEN,
    account_of,
    browser_of,
    people_of,
    submit,
)
from tests.fixtures.panel_browser import chromium, context_of, new_tab
from tests.fixtures.service import Client, RunningGateway, guest_of, until
from tests.service.test_docs_page import IN_A_BROWSER

LIST = "/panel/instances"
HOSTILE = "<script>alert(1)</script> \u202eabc \U0001f355 " + "W" * 150
ADD_SHOPS = SQL("""
    insert into instances
    select (
        jsonb_populate_record(
            i,
            jsonb_build_object(
                'id', upper(md5(i.id || n)), 'name', 'Shop ' || lpad(n::text, 2, '0'),
                'wanted', false, 'token_hash', sha256((i.id || n)::bytea),
                'created_at', i.created_at + make_interval(secs => n)
            )
        )
    ).*
    from instances i, generate_series(0, 51) n
    where i.id = %(id)s
""")
CHANGES = (
    "disconnect",
    "link",
    "link/confirm",
    "link/revoke",
    "pairing-code",
    "proxy",
    "proxy/remove",
    "proxy/test",
    "reconnect",
    "recover",
    "restart",
    "scan",
    "settings/name",
    "settings/reading",
    "settings/sending",
    "delete",
)


@asynccontextmanager
async def signed_in(
    host: RunningGateway, client: Client, role: UserRole = UserRole.OWNER
) -> AsyncIterator[httpx.AsyncClient]:
    own = None if role is UserRole.OPERATOR else await account_of(client)
    async with people_of(host) as people:
        email = await people.add(role, own, password=None)
        async with browser_of(host, session=await people.session_of(email)) as http:
            yield http


async def statuses(
    http: httpx.AsyncClient, page: str, paths: Iterable[str], **fields: str
) -> list[int]:
    """Returns how the gateway answers a form that is sent to each path."""
    found = TOKEN.search((await http.get(page)).text)
    assert found is not None
    data = {"csrf_token": found[1], **fields}
    return [(await http.post(path, data=data)).status_code for path in paths]


def page_of(client: Client) -> str:
    return f"{LIST}/{client.demo.instance_id}"


async def added(http: httpx.AsyncClient, name: str = "New phone") -> str:
    """Adds a number as a person does; returns its page, once its session shows a code."""
    answer = await submit(http, f"{LIST}/new", f"{LIST}/new", name=name, provider="sandbox")
    assert answer.status_code == 303, answer.text
    path: str = answer.headers["location"]
    await until(lambda: http.get(path), lambda page: "<svg" in qr_of(page.text))
    return path


def qr_of(page: str) -> str:
    found = re.search('<div id="qr".*?</noscript>', page, re.DOTALL)
    return found[0] if found else ""


async def acts_of(client: Client) -> list[dict[str, Any]]:
    answer = await client.http.get(
        "/account/audit",
        params={"pageSize": 100},
        headers={"Authorization": f"Bearer {client.demo.partner_token}"},
    )
    acts: list[dict[str, Any]] = answer.json()
    return acts


@pytest.mark.parametrize("role", list(UserRole))
async def test_each_role_sees_the_numbers_and_the_buttons_it_may_press(
    role: UserRole, client: Client, host: RunningGateway
) -> None:
    manages = role in {UserRole.OPERATOR, UserRole.OWNER}
    async with signed_in(host, client, role) as http:
        one = await http.get(page_of(client))
        shown = [await http.get(page_of(client) + end) for end in ("", "/settings", "/about")]
        listed = await http.get(f"{LIST}?q={client.demo.instance_id}")
        new = await http.get(f"{LIST}/new")
        code = await http.get(page_of(client) + "/qr")

        assert [page.status_code for page in shown] == [200, 200, 200]
        assert "Connected" in one.text
        assert client.demo.instance_id in listed.text
        assert ("Add a number" in listed.text) is manages
        assert ("Log the phone out" in one.text) is manages
        assert ("Send test message" in one.text) is (role is not UserRole.VIEWER)
        assert (new.status_code, code.status_code) == ((200, 200) if manages else (403, 403))
        assert not any(client.demo.instance_token in page.text for page in shown)


@pytest.mark.parametrize("role", [UserRole.AGENT, UserRole.VIEWER])
async def test_who_may_not_manage_changes_nothing(
    role: UserRole, client: Client, host: RunningGateway
) -> None:
    path = page_of(client)
    async with signed_in(host, client, role) as http:
        refused = await statuses(
            http,
            path,
            [f"{LIST}/new", *(f"{path}/{end}" for end in CHANGES)],
            name="Eve",
            typed="Demo",
        )
        sent = await statuses(http, path, [f"{path}/test"], phone="5511999999999", text="Hello")

    assert set(refused) == {403}
    assert sent == [303 if role is UserRole.AGENT else 403]
    assert (await client.call("GET", "/status")).json()["connected"] is True


async def test_a_number_of_another_account_is_unknown(client: Client, host: RunningGateway) -> None:
    async with guest_of(host) as other, signed_in(host, client) as http:
        path, own = page_of(other), page_of(client)
        pages = [path, *(f"{path}/{end}" for end in ("settings", "proxy", "about", "delete", "qr"))]
        seen = {(await http.get(page)).status_code for page in pages}
        changed = await statuses(
            http, own, [f"{path}/{end}" for end in (*CHANGES, "test")], phone="5511999999999"
        )
        listed = await http.get(LIST)

        assert seen == set(changed) == {404}
        assert other.demo.instance_id not in listed.text


async def test_an_empty_account_is_told_the_first_step(
    client: Client, host: RunningGateway
) -> None:
    async with signed_in(host, client) as http:
        name = (await client.call("GET", "/me")).json()["name"]
        path = page_of(client) + "/delete"
        wrong = await submit(http, path, path, typed=f"{name} 2")
        deleted = await submit(http, path, path, typed=f" {name} ")
        page = await http.get(LIST)

        assert wrong.status_code == 400
        assert "nothing was deleted" in wrong.text
        assert deleted.headers["location"] == LIST
        assert "Add your first number" in page.text
        assert (await client.call("GET", "/status")).status_code == 404


async def test_a_number_is_added_linked_and_sends(client: Client, host: RunningGateway) -> None:
    async with signed_in(host, client) as http:
        nameless = await submit(http, f"{LIST}/new", f"{LIST}/new", name=" ", provider="sandbox")
        path = await added(http)
        page = (await http.get(path)).text
        seen = re.search(r"seen=([0-9a-f]+)", qr_of(page))
        same = await http.get(f"{path}/qr", params={"seen": seen[1] if seen else ""})
        paired = await submit(http, path, f"{path}/pairing-code", phone="5511987654321")
        no_phone = await submit(http, path, f"{path}/pairing-code", phone="nobody")

        await submit(http, path, f"{path}/scan")
        linked = await until(lambda: http.get(path), lambda found: "state-ok" in found.text)
        wrong = await submit(http, path, f"{path}/test", phone="nobody", text="Hello")
        sent = await submit(http, path, f"{path}/test", phone="5511987654321", text="Hello <b>")
        goes = await until(
            lambda: http.get(sent.headers["location"]),
            lambda found: re.search(r'data-status="(delivered|read)"', found.text) is not None,
        )

        assert nameless.status_code == 400
        assert "Enter a name" in nameless.text
        assert same.status_code in {200, 204}  # 200 if twenty seconds began meanwhile
        assert re.search(r'class="linking-code"[^>]*>[1-9A-Z]{4}-[1-9A-Z]{4}<', paired.text)
        assert no_phone.status_code == 400
        assert "country code" in no_phone.text
        assert not qr_of(linked.text)
        assert wrong.status_code == 400
        assert 'value="nobody"' in wrong.text
        assert "Hello &lt;b&gt;" in goes.text
        assert goes.text.count("is-reached") >= 4
    acts = {act["act"]: act for act in await acts_of(client)}
    assert {"CreateInstance", "LinkSimulatedPhone"} <= acts.keys()
    assert acts["LinkSimulatedPhone"]["credential"] == "session"


async def test_a_link_is_shown_once_and_its_phone_is_confirmed(
    client: Client, host: RunningGateway
) -> None:
    async with signed_in(host, client) as http, browser_of(host) as customer:
        path = await added(http)
        await submit(http, path, f"{path}/test", phone="5511987654321", text="It waits")
        ended = await submit(http, path, f"{path}/link", minutes="15")
        await submit(http, path, f"{path}/link/revoke")
        revoked = (await http.get(path)).text
        made = await submit(http, path, f"{path}/link", minutes="15", phone="")
        found = re.search(r"/panel/link-phone/[0-9a-f]{64}", made.text)
        assert found is not None
        later = (await http.get(path)).text
        shown = await customer.get(found[0])

        await submit(http, path, f"{path}/scan")
        asked = await until(lambda: http.get(path), lambda page: "right phone" in page.text)
        confirmed = await submit(http, path, f"{path}/link/confirm")
        after = (await http.get(path)).text

        assert ended.status_code == 200
        assert "was ended" in revoked
        assert found[0] not in later
        assert "Codes left" in later
        # What waits changes by itself: only parts that are fetched again show its number.
        assert re.search(r"<span>Queue</span></a>\s*</div>", later)
        assert "<svg" in shown.text
        assert "This link ends in 15 minutes." in shown.text  # the visitor's zone is not known
        assert "send what waits" in asked.text
        assert confirmed.status_code == 303
        assert "right phone" not in after


async def test_settings_are_saved_where_they_differ(client: Client, host: RunningGateway) -> None:
    settings = page_of(client) + "/settings"
    sending = {
        "paceMinSeconds": "1.5",
        "paceMaxSeconds": "2,5",
        "messagesPerMinute": "30",
        "dailyLimit": "400",
        "warmUpDays": "10",
        "numberLookup": "no",
        "order": "strict",
        "unknownQuote": "omit",
    }
    async with signed_in(host, client) as http:
        await submit(http, settings, f"{settings}/name", name=HOSTILE)
        await submit(
            http,
            settings,
            f"{settings}/reading",
            auto_read_message="on",
            call_reject_auto="on",
            callRejectMessage="Please write",
        )
        await submit(http, settings, f"{settings}/sending", **sending, refuseWhileDown="on")
        again = await submit(http, settings, f"{settings}/sending", **sending, refuseWhileDown="on")
        page = await http.get(settings)
        wrong = await submit(
            http, settings, f"{settings}/sending", **{**sending, "dailyLimit": "many"}
        )
        reversed_pace = await submit(
            http, settings, f"{settings}/sending", **{**sending, "paceMinSeconds": "9"}
        )
        listed = await http.get(LIST)

        assert html.escape(HOSTILE, quote=False) in listed.text
        assert "<script>alert" not in listed.text + page.text
        assert page.text.count(" checked") == 3
        for name in ("paceMinSeconds", "dailyLimit", "messagesPerMinute"):
            assert f'name="{name}"' in page.text
        assert again.status_code == 303
        assert "Nothing was changed." in page.text
        assert wrong.status_code == reversed_pace.status_code == 400
        assert re.search(r'name="dailyLimit"[^>]* value="many"[^>]*aria-invalid', wrong.text)
        assert "exceeds the longest" in reversed_pace.text
    queue = (await client.call("GET", "/queue/settings")).json()
    me = (await client.call("GET", "/me")).json()
    assert (queue["paceMinSeconds"], queue["paceMaxSeconds"]) == (1.5, 2.5)
    assert (queue["dailyLimit"], queue["warmUpDays"], queue["order"]) == (400, 10, "strict")
    assert (me["name"], me["callRejectMessage"]) == (HOSTILE, "Please write")
    changed = [act for act in await acts_of(client) if act["act"] == "ChangeQueueSettings"]
    assert [act["credential"] for act in changed] == ["session"]


async def test_the_password_of_a_proxy_is_never_shown_again(
    client: Client, host: RunningGateway
) -> None:
    proxy = page_of(client) + "/proxy"
    url = "http://ana:pass-word-1@8.8.8.8:8080"
    async with signed_in(host, client) as http:
        wrong = await submit(http, proxy, proxy, proxyUrl="ftp://ana:pass-word-1@x")
        saved = await submit(http, proxy, proxy, proxyUrl=url, noMedia="on")
        page = await http.get(proxy)
        await submit(http, proxy, f"{proxy}/remove")
        without = await http.get(proxy)

        assert (wrong.status_code, saved.status_code) == (400, 303)
        assert "ana:***@8.8.8.8" in page.text
        assert "Files go past it" in page.text
        assert "No proxy" in without.text
        for answer in (wrong, saved, page, without):
            assert "pass-word-1" not in answer.text
            assert "pass-word-1" not in str(answer.headers)


async def test_the_list_is_searched_filtered_and_paged(
    client: Client, host: RunningGateway
) -> None:
    async with people_of(host) as people:
        await people.database.execute(ADD_SHOPS, id=client.demo.instance_id)
    async with signed_in(host, client) as http:

        async def names(query: str) -> list[str]:
            page = await http.get(f"{LIST}/rows?{query}")
            assert page.status_code == 200, page.text
            return re.findall(r"<bdi>(.*?)</bdi>", page.text)

        assert len(await names("q=Shop")) == 50
        assert await names("q=shop&page=2") == ["Shop 50", "Shop 51"]
        assert await names("q=SHOP+07") == ["Shop 07"]
        assert len(await names("state=connected")) == 1
        assert len(await names("state=down&page=2")) == 2
        assert len(await names("quiet=7&page=2")) == 3
        assert await names("provider=none") == []
        assert (await names("sort=newest&q=Shop"))[:2] == ["Shop 51", "Shop 50"]
        assert len(await names("state=nonsense&sort=nonsense&quiet=x&page=-1")) == 50


@IN_A_BROWSER
async def test_a_page_follows_the_phone_and_the_message_by_itself(
    client: Client, host: RunningGateway
) -> None:
    await client.control("connection", state="logged_out")
    account_id = await account_of(client)
    async with people_of(host) as people, chromium() as browser:
        email = await people.add(UserRole.OWNER, account_id, password=None)
        context = await context_of(browser, host, session=await people.session_of(email))
        tab = await new_tab(context)
        page = tab.page
        await page.goto(page_of(client))

        await page.wait_for_selector("#qr svg")
        await client.control("scan")
        await page.wait_for_selector(".state-card h2:has-text('Connected')")
        await page.fill("#f-test-phone", "5511987654321")
        await page.click("button:has-text('Send test message')")
        await page.wait_for_selector("#sent .is-reached:has-text('Delivered')")
    assert tab.problems == []
