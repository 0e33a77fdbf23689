"""Each page and action of the panel, as each role, as a visitor and as a person of another account.

The table of expected outcomes comes from the scopes that pages declare; docs/rights.md shows it.
No page is named here: a new one is in the test as soon as it is registered.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString

import httpx
import pytest
from psycopg.sql import SQL, Identifier

from gateway.contract.scopes import SCOPES_OF_ROLE, ApiScope, UserRole
from gateway.panel.page import PageRoute
from gateway.panel.rights import may_use
from tests.fixtures.panel import TOKEN, People, browser_of, people_of, submit
from tests.fixtures.panel_seed import Shop
from tests.fixtures.panel_walk import route_of, routes
from tests.fixtures.service import until
from tests.service.panel.conftest import SeededGateway, walk_as

GUESS = "3C67AB641C8AA0412F6A2242B4E23AC7"
_PARAMETER = re.compile(r"\{[^}]+\}")
_SIGN_IN = "/panel/sign-in"
_REFUSED, _ALLOWED = "refused", "allowed"
# What may change in an account that nobody uses: connections and the gateway's own notes.
_MOVING: frozenset[str] = frozenset(
    {
        "api_key_uses",
        "event_log",
        "event_log_expiry",
        "inbox",
        "instance_connections",
        "instance_leases",
        "profile_pictures",
        "traffic",
    }
)


_LATE_ROWS: Mapping[str, LiteralString] = {
    "webhook_events": "r.type = 'MessageStatusCallback'",
}
"""Rows that the receipts of the simulated phones still add."""


def every_route() -> Sequence[PageRoute]:
    return [route for route, _pattern in routes()]


def guessed(route: PageRoute, value: str = GUESS) -> str:
    return _PARAMETER.sub(value, route.path)


async def outcome_of(http: httpx.AsyncClient, route: PageRoute) -> str:
    """Returns what becomes of a request with a guessed id and, for a change, an empty form."""
    path = guessed(route)
    if route.method == "POST":
        answer = await submit(http, _SIGN_IN, path) if _is_out(http) else await change(http, path)
        return _named(answer, path)
    async with http.stream("GET", path) as answer:
        return _named(answer, path)


def _is_out(http: httpx.AsyncClient) -> bool:
    return not http.cookies.get("gateway_session")


async def change(
    http: httpx.AsyncClient, path: str, fields: Mapping[str, str] | None = None
) -> httpx.Response:
    """Sends a form with the token of the session; a page may call a field as it likes."""
    found = TOKEN.search((await http.get("/panel/profile")).text)
    assert found is not None
    return await http.post(path, data={**(fields or {}), "csrf_token": found[1]})


def _named(answer: httpx.Response, path: str) -> str:
    assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR, f"{path}: {answer.status_code}"
    is_sign_in = answer.headers.get("location", "").startswith(f"{_SIGN_IN}?") or (
        answer.headers.get("location") == _SIGN_IN and not path.startswith(_SIGN_IN)
    )
    refused = is_sign_in or answer.status_code == httpx.codes.FORBIDDEN
    return _REFUSED if refused else _ALLOWED


@pytest.mark.parametrize("role", [None, *UserRole], ids=lambda role: role or "visitor")
async def test_each_role_may_what_its_pages_declare(
    role: UserRole | None, seeded: SeededGateway
) -> None:
    async with people_of(seeded.host) as people:
        wrong = []
        session = await _fresh(people, seeded.seed.other, role) if role else ""
        for route in every_route():
            async with browser_of(seeded.host, session=session) as http:
                found = await outcome_of(http, route)
            expected = _ALLOWED if may_use(route, role) else _REFUSED
            if found != expected:
                wrong.append(f"{route.method} {route.path}: {found}, not {expected}")
            if role and await people.sign_in.sessions.find(session) is None:
                session = await _fresh(people, seeded.seed.other, role)  # it signed itself out
    assert wrong == []


async def _fresh(people: People, account: Shop, role: UserRole) -> str:
    """Returns a session of a new person, who may change himself as he likes."""
    owner = None if role is UserRole.OPERATOR else account.id
    return await people.session_of(await people.add(role, owner, password=None))


async def test_every_link_and_form_of_every_page_leads_to_a_page(seeded: SeededGateway) -> None:
    for role in UserRole:
        found = await walk_as(seeded, role)
        assert found.problems == []
        # The walk also tries the addresses of pages that are not for the role: those are refused.
        refused = [s.path for s in found.shown if not may_use(s.route, role)]
        assert [s.path for s in found.shown if s.status == httpx.codes.FORBIDDEN] == refused
        assert [f"{s.path}: {s.status}" for s in found.shown if s.status in {500, 503}] == []
        assert [
            f"{role}: {page} links to {target}"
            for page, target in found.links
            if (route := route_of("GET", target)) and not may_use(route, role)
        ] == []


async def test_every_page_is_reached_by_a_link(seeded: SeededGateway) -> None:
    """A page that no other page leads to is never checked in a browser.

    Visitors come to public pages by a link that somebody sent them: to set a password, say.
    """
    opened = {
        shown.route.path for role in UserRole for shown in (await walk_as(seeded, role)).shown
    }
    pages = {r.path for r in every_route() if r.method == "GET" and not r.is_public}
    assert pages - opened == set()


@pytest.mark.parametrize("role", [r for r in UserRole if ApiScope.MANAGE not in SCOPES_OF_ROLE[r]])
async def test_no_page_shows_a_secret_without_manage(role: UserRole, seeded: SeededGateway) -> None:
    found = await walk_as(seeded, role)
    shown = [
        path
        for path, html in found.texts()
        for secret in seeded.seed.shop.secrets
        if secret in html
    ]
    assert shown == []


async def test_a_form_is_shown_only_to_who_may_send_it(seeded: SeededGateway) -> None:
    wrong = []
    for role in UserRole:
        for form in (await walk_as(seeded, role)).forms:
            route = route_of("POST", form.path)
            assert route is not None
            if not may_use(route, role):
                wrong.append(f"{role}: {form.page} shows {form.path}")
    assert wrong == []


async def test_nothing_of_another_account_is_shown(seeded: SeededGateway) -> None:
    """The people of the shop reach none of the other account's texts, and the other way round."""
    other = seeded.seed.other
    for role in (UserRole.OWNER, UserRole.AGENT, UserRole.VIEWER):
        found = await walk_as(seeded, role)
        assert [path for path, html in found.texts() for mark in other.marks if mark in html] == []
    # The addresses that the shop's owner reached, opened by the other account's owner.
    own = seeded.seed.shop
    marks = tuple(n.name for n in own.numbers.values() if n.name.isascii() and "<" not in n.name)
    session = await seeded.session_of(UserRole.OWNER, email=other.users[UserRole.OWNER])
    wrong = []
    async with browser_of(seeded.host, session=session) as http:
        for shown in (await walk_as(seeded, UserRole.OWNER)).shown:
            if shown.route.is_public:
                continue
            async with http.stream("GET", shown.path) as answer:
                is_html = answer.headers.get("content-type", "").startswith("text/html")
                html = (await answer.aread()).decode() if is_html else ""
            assert answer.status_code < 500, shown.path
            if any(mark in html for mark in (*marks, *own.secrets, own.name)):
                wrong.append(shown.path)
    assert wrong == []


async def test_nothing_of_another_account_is_changed(seeded: SeededGateway) -> None:
    """Every form that the shop's owner sees, sent by the other account's owner."""
    shop, other = seeded.seed.shop, seeded.seed.other
    forms = {
        (form.path, form.fields): form
        for form in (await walk_as(seeded, UserRole.OWNER)).forms
        if not _is_own(form.path)
    }
    async with people_of(seeded.host) as people, deliveries_stopped(people, shop):
        before = await rows_of(people, shop)
        session = await people.session_of(other.users[UserRole.OWNER])
        async with browser_of(seeded.host, session=session) as http:
            for form in forms.values():
                answer = await change(http, form.path, dict(form.fields))
                assert answer.status_code < 500, form.path
            for route in every_route():
                if route.method == "POST" and not _is_own(route.path):
                    for target in shop.ids:
                        fields = dict.fromkeys(("id", "instance", "instanceId"), target)
                        answer = await change(http, guessed(route, target), fields)
                        assert answer.status_code < 500, route.path
        after = await rows_of(people, shop)
    assert {name for name in before if before[name] != after[name]} == set()


def _is_own(path: str) -> bool:
    """Returns whether a change concerns who makes it: his session, language or sign-in."""
    route = route_of("POST", path)
    return route is not None and (route.is_public or route.path.startswith("/panel/profile"))


_HOLD_QUEUES: LiteralString = """
    select claim_id from delivery_queues where instance_id = any(%s) for update
"""
_TABLES: LiteralString = """
    select table_name, min(column_name) from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where table_schema = 'public' and table_type = 'BASE TABLE'
      and column_name in ('account_id', 'instance_id')
    group by table_name
"""


@asynccontextmanager
async def deliveries_stopped(people: People, shop: Shop) -> AsyncIterator[None]:
    """Holds the delivery queues of an account, whose receiver is dead: the gateway skips them.

    Whatever else would change them waits until its deadline, and answers an error.
    """
    async with people.database.pool.connection() as connection:
        await connection.set_autocommit(False)

        async def hold() -> Sequence[object]:
            await connection.rollback()
            rows = await connection.execute(_HOLD_QUEUES, [list(shop.ids)])
            return [claim for (claim,) in await rows.fetchall() if claim]

        await until(hold, lambda claims: not claims)
        yield
        await connection.rollback()
        await connection.set_autocommit(True)


async def rows_of(people: People, shop: Shop) -> dict[str, str]:
    """Returns a hash of the rows of an account in each table."""
    found: dict[str, str] = {}
    async with people.database.pool.connection() as connection:
        tables = await (await connection.execute(_TABLES)).fetchall()
        for table, column in (*tables, ("accounts", "id"), ("instances", "id")):
            if table in _MOVING:
                continue
            statement = SQL(
                "select md5(coalesce(string_agg(r::text, '|' order by r::text), ''))"
                " from {} r where {} = any(%s) and not ({})"
            ).format(Identifier(table), Identifier(column), SQL(_LATE_ROWS.get(table, "false")))
            rows = await (await connection.execute(statement, [list(shop.ids)])).fetchall()
            found[table] = rows[0][0]
    return found
