"""Start, the installation with its accounts and users, and the audit log, as people use them."""

import codecs
import csv
import io
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape

import httpx
import orjson
import pytest
from playwright.async_api import async_playwright
from psycopg.sql import SQL

from gateway.contract.scopes import UserRole
from tests.fixtures.panel import PASSWORD, People, account_of, browser_of, enter, people_of, submit
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, RunningGateway
from tests.service.test_docs_page import CHROMIUM, IN_A_BROWSER, QUIET

HOSTILE = "<script>alert(1)</script>\u202e\U0001f680" + "x" * 200
ENGLISH = {"Accept-Language": "en"}
_LINK = re.compile(r"http://[^<\s]+(/panel/set-password/[0-9a-f]{64})")
_HOLD = SQL(
    """with link as (
           insert into phone_links (instance_id, token_hash, phones, max_codes, expires_at, used_at,
                                    linking)
           values (%(id)s, decode(md5(%(id)s), 'hex'), '{}', 5, now(), now(), 'held')
           returning instance_id
       ), named as (update instances set name = %(name)s where id = %(id)s)
       update instance_lines n
       set hold_kind = 'linking', hold_until = now() + interval '100 years'
       from link where n.instance_id = link.instance_id"""
)


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    http: httpx.AsyncClient
    people: People
    email: str

    async def page(self, path: str, **asked: str) -> str:
        answer = await self.http.get(path, params=asked)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.text

    async def press(self, path: str, **fields: str) -> httpx.Response:
        return await submit(self.http, "/panel/profile", path, **fields)


@asynccontextmanager
async def person_of(
    host: RunningGateway, role: UserRole, account_id: str | None = None
) -> AsyncIterator[Person]:
    async with people_of(host) as people:
        email = await people.add(role, account_id, password=None)
        async with browser_of(host, session=await people.session_of(email)) as http:
            yield Person(http, people, email)


async def test_start_names_what_needs_attention_and_leads_to_its_cure(
    client: Client, host: RunningGateway
) -> None:
    instance_id, account_id = client.demo.instance_id, await account_of(client)
    async with (
        person_of(host, UserRole.OWNER, account_id) as owner,
        person_of(host, UserRole.VIEWER, account_id) as viewer,
    ):
        await owner.people.database.execute(_HOLD, id=instance_id, name=HOSTILE)
        shown = await owner.page("/panel/")
        part = await owner.page("/panel/now")
        read = await viewer.page("/panel/")
        await owner.press("/panel/first-steps/hide")
        without_steps = await owner.page("/panel/now")

    cure = f'href="/panel/instances/{instance_id}#connection"'
    assert "1 thing keeps messages from leaving or arriving." in shown
    assert "A linked phone waits for your confirmation" in shown
    assert cure in shown
    assert cure in part
    assert "<html" not in part
    webhook = f'href="/panel/webhooks?instance={instance_id}"'
    assert webhook not in part, "the first steps say it"
    assert webhook in without_steps, "the cure of a suggestion"
    assert "A linked phone waits for your confirmation" in read
    assert cure not in read, "who may not confirm has no button"
    assert "<script>alert" not in shown + read


async def test_charts_show_the_span_that_is_asked_for(client: Client, host: RunningGateway) -> None:
    account_id = await account_of(client)
    add = SQL(
        """insert into traffic
           select %(id)s, '', date_bin('5 minutes', now() - interval '3 days', '2000-01-01'),
                  40, 30, 20, 10, 5, '{"refused": 3}', 60000, array_fill(0, array[13]),
                  1234, 10, 30000, 7200000"""
    )
    async with person_of(host, UserRole.VIEWER, account_id) as viewer:
        await viewer.people.database.execute(add, id=account_id)
        day = await viewer.page("/panel/traffic")
        week = await viewer.page("/panel/traffic", span="7d")
        wrong = await viewer.page("/panel/traffic", span="<b>")

    assert "No data for this time yet" in day
    assert "No data for this time yet" in wrong
    assert "<strong>30</strong>" in week
    assert "40 accepted (dashed line)" in week
    assert "chart-compared" in week
    assert "2 seconds" in week, "60 seconds over 30 messages"
    assert "<strong>1,234</strong>" in week, "messages waited at most"
    assert "3 seconds" in week, "30 seconds over 10 callbacks"
    assert "on average; at most 2 hours (dashed line)" in week
    assert re.search(r"<desc[^>]*>At most 1,234, at ", week), "a screen reader says it"
    assert len(week) < 80_000


async def test_an_operator_makes_an_account_whose_owner_begins_with_the_first_steps(
    host: RunningGateway,
) -> None:
    name, email = f"Shop <b>{os.urandom(4).hex()}", f"owner{os.urandom(4).hex()}@example.com"
    async with person_of(host, UserRole.OPERATOR) as operator:
        made = await operator.press(
            "/panel/system/accounts/new", name=name, client_token_required="on"
        )
        again = await operator.press("/panel/system/accounts/new", name=name.upper())
        empty = await operator.press("/panel/system/accounts/new", name=" ")
        account_id = re.findall(r'name="id" value="([0-9A-F]{32})"', made.text)[-1]
        listed = await operator.page("/panel/system/accounts", q=name)
        without = await operator.press(
            "/panel/system/users/new", email=email, role="owner", account="nowhere"
        )
        added = await operator.press(
            "/panel/system/users/new", email=email, name="O", role="owner", account=account_id
        )
        log = await operator.page("/panel/audit", account=account_id)
        begun = await operator.page("/panel/", account=account_id)
        hidden = await operator.press("/panel/first-steps/hide")
        after = await operator.page("/panel/")

    assert made.headers["cache-control"] == "no-store"
    tokens = re.findall(r"<code>([0-9A-F]{32})</code>", made.text)
    assert len(set(tokens)) == 2
    assert (again.status_code, empty.status_code, without.status_code) == (400, 400, 400)
    assert "Another account has this name." in again.text
    assert escape(name) in listed
    assert not any(token in listed + log + begun + host.log for token in tokens)
    assert _LINK.search(added.text)
    assert "Made the account" in log
    assert "Added a user" in log
    assert "0 of 4 done" in begun
    assert 'href="/panel/instances/new"' in begun
    assert hidden.headers["location"] == "/panel/"
    assert "First steps" not in after


async def test_a_link_sets_a_password_once_and_is_in_no_log(
    client: Client, host: RunningGateway
) -> None:
    async with (
        person_of(host, UserRole.OPERATOR) as operator,
        browser_of(host, **ENGLISH) as http,
    ):
        email = await operator.people.add(
            UserRole.AGENT, await account_of(client), password="another password"
        )
        shown = await operator.press("/panel/system/users/link", email=email)
        found = _LINK.search(shown.text)
        assert found is not None
        path = found[1]
        page = await http.get(path)
        differs = await submit(http, path, path, new=PASSWORD, repeated="x" * 12)
        short = await submit(http, path, path, new="short", repeated="short")
        done = await submit(http, path, path, new=PASSWORD, repeated=PASSWORD)
        over = await submit(http, path, path, new=PASSWORD, repeated=PASSWORD)
        entered = await enter(http, email)

    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert (differs.status_code, short.status_code) == (400, 400)
    assert "At least 12 characters" in short.text
    assert done.headers["location"] == "/panel/sign-in"
    assert over.status_code == 410
    assert "Ask the operator for a new one" in over.text
    assert entered.headers["location"] == "/panel/"
    assert path.rpartition("/")[2] not in host.log


async def test_a_password_travels_over_no_open_network(
    client: Client, host: RunningGateway
) -> None:
    async with (
        person_of(host, UserRole.OPERATOR) as operator,
        browser_of(host, Host="gateway.example", **ENGLISH) as http,
    ):
        email = await operator.people.add(UserRole.AGENT, await account_of(client), password=None)
        token = await operator.people.admin.issue_password_link(email)
        path = f"/panel/set-password/{token}"
        page = await http.get(path)
        sent = await submit(http, "/panel/link/unknown", path, new=PASSWORD, repeated=PASSWORD)
        user = await operator.people.admin.find(email)

    assert "not protected by TLS" in page.text
    assert sent.status_code == 403
    assert user.password_hash is None


async def test_an_operator_changes_roles_and_disables_others(
    client: Client, host: RunningGateway
) -> None:
    account_id = await account_of(client)
    async with (
        person_of(host, UserRole.OPERATOR) as operator,
        person_of(host, UserRole.VIEWER, account_id) as other,
    ):
        before = await other.http.get("/panel/audit")
        changed = await operator.press("/panel/system/users/role", email=other.email, role="owner")
        after = await other.http.get("/panel/audit")
        for role in ("operator", "emperor"):
            await operator.press("/panel/system/users/role", email=other.email, role=role)
        kept = (await operator.people.admin.find(other.email)).role
        disabled = await operator.press("/panel/system/users/disable", email=other.email)
        out = await other.http.get("/panel/")
        itself = await operator.press("/panel/system/users/disable", email=operator.email.upper())
        listed = await operator.page("/panel/system/users", q=other.email)
        await operator.press("/panel/system/users/enable", email=other.email)
        user = await operator.people.admin.find(other.email)
        log = await operator.page("/panel/audit", account=account_id, act="SetUserRole")

    assert (before.status_code, after.status_code) == (403, 200)
    assert changed.headers["location"] == "/panel/system/users"
    assert kept == "owner"
    assert disabled.status_code == 303
    assert out.headers["location"] == "/panel/sign-in"
    assert itself.status_code == 303
    assert (await _is_disabled(operator.email, host)) is False
    assert "Disabled" in listed
    assert user.disabled_at is None
    assert "Changed the role of a user" in log
    assert other.email in log


async def _is_disabled(email: str, host: RunningGateway) -> bool:
    async with people_of(host) as people:
        return (await people.admin.find(email)).disabled_at is not None


async def test_the_audit_log_is_filtered_readable_and_exported(
    client: Client, host: RunningGateway
) -> None:
    account_id = await account_of(client)
    hook = {"value": "https://hook.example/in?token=secret"}
    await client.call("PUT", "/update-webhook-received", json=hook)
    await client.call("POST", "/queue/pause")
    await client.call("POST", "/queue/resume")
    async with person_of(host, UserRole.OWNER, account_id) as owner:
        await owner.people.database.execute(
            SQL("update instances set name = %(name)s where id = %(id)s"),
            name=HOSTILE,
            id=client.demo.instance_id,
        )
        every = await owner.page("/panel/audit")
        paused = await owner.page("/panel/audit", act="PauseQueue", number=client.demo.instance_id)
        here = await owner.page("/panel/audit", address="127.0.0")
        elsewhere = await owner.page("/panel/audit", address="198.51.100.9")
        today = await owner.page("/panel/audit", until="2026-01-01")
        wrong = await owner.page("/panel/audit", since="yesterday")
        lines = await owner.http.get("/panel/audit/export?format=jsonl&act=PauseQueue")
        sheet = await owner.http.get("/panel/audit/export?format=csv")
        unknown = await owner.http.get("/panel/audit/export?format=exe")

    assert "Changed a webhook" in every
    assert "<ins>https://hook.example/in</ins>" in every
    assert "<del>none</del>" in every
    assert "token=secret" not in every
    assert "<script>alert" not in every
    assert "Resumed sending</strong>" in every
    assert "Paused sending</strong>" in paused
    assert "<del>no</del>" in paused
    assert "Resumed sending</strong>" not in paused
    assert "Paused sending</strong>" in here
    assert "Nothing found" in elsewhere
    assert "Nothing found" in today
    assert "Write a day such as 2026-01-31." in wrong
    (act,) = [orjson.loads(line) for line in lines.content.splitlines()]
    assert (act["act"], act["after"]) == ("PauseQueue", {"paused": True})
    assert re.fullmatch(
        r'attachment; filename="audit-[0-9-]{10}\.csv"', sheet.headers["content-disposition"]
    )
    acts = {row["act"] for row in csv.DictReader(io.StringIO(sheet.content.decode("utf-8-sig")))}
    assert {"PauseQueue", "ResumeQueue", "SetReceivedWebhook"} <= acts
    assert sheet.content.startswith(codecs.BOM_UTF8)  # or Excel garbles every accent
    assert unknown.status_code == 400


@pytest.mark.parametrize("role", list(UserRole))
async def test_each_role_has_its_entries(
    role: UserRole, client: Client, host: RunningGateway
) -> None:
    own = None if role is UserRole.OPERATOR else await account_of(client)
    async with person_of(host, role, own) as person:
        start = await person.page("/panel/")
        system = await person.http.get("/panel/system")
        export = await person.http.get("/panel/audit/export?format=csv")

    is_operator = role is UserRole.OPERATOR
    reads_log = role in {UserRole.OPERATOR, UserRole.OWNER}
    assert ('href="/panel/system"' in start) is is_operator
    assert ('href="/panel/audit"' in start) is reads_log
    assert system.status_code == (200 if is_operator else 403)
    assert export.status_code == (200 if reads_log else 403)
    if is_operator:
        assert "Nodes" in system.text
        assert str(host.data_dir) in system.text


@IN_A_BROWSER
async def test_start_shows_what_changes_and_leaves_the_rest(
    client: Client, host: RunningGateway
) -> None:
    await client.call("POST", "/queue/pause")
    async with people_of(host) as people, async_playwright() as playwright:
        email = await people.add(UserRole.OWNER, await account_of(client), password=None)
        session = await people.session_of(email)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = await browser.new_context(locale="en")
        await context.add_cookies(
            [{"name": "gateway_session", "value": session, "url": host.base_url}]
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1_000)
        await page.goto(f"{host.base_url}/panel/")
        await page.evaluate("document.querySelector('#first-steps, #traffic').mark = 'here'")
        await client.send_text("waits")
        await client.call("PUT", "/update-auto-read-message", json={"value": True})
        await page.locator("#now .stat", has_text="Waiting").get_by_text("1", exact=True).wait_for()
        mark = await page.evaluate("document.querySelector('#first-steps, #traffic').mark")
        await page.click("#span-7d")
        await page.locator("#span-7d[aria-current]").wait_for()
        await browser.close()

    assert mark == "here", "only the live part was replaced"
