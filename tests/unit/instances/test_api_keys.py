"""The cache of API keys follows notifications and the clock, and guesses cost few queries."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from psycopg.sql import SQL, Composed

from gateway.clock import Clock
from gateway.contract.scopes import ApiScope
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable, InvalidRequest
from gateway.instances import api_keys
from gateway.instances.api_key_uses import ApiKeyUses
from gateway.instances.api_keys import ApiKeys, is_api_key, new_api_key
from gateway.instances.creation import check_token
from gateway.instances.tokens import hash_of
from tests.fixtures.users import SetClock

KEY = "gwk_" + "ab" * 32


def row(clock: SetClock, **changed: Any) -> Any:
    found = api_keys._Row(
        "K",
        "A",
        "CRM",
        hash_of(KEY),
        ["read", "of a newer release"],
        [],
        [],
        None,
        "Acme",
        [],
        client_token_required=True,
        account_created_at=clock.now(),
    )
    return replace(found, **changed)


class CountingDatabase(Database):
    """Answers from a dictionary and counts its queries; `during` runs while one is answered."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Any] = {}
        self.asked, self.is_away = 0, False
        self.written: list[dict[str, Any]] = []
        self.during: Callable[[], None] = lambda: None

    def for_look_ups(self) -> "CountingDatabase":
        return self

    async def fetch_one(self, row: type[Any], statement: SQL, **parameters: Any) -> Any:
        self.asked += 1
        found = self.rows.get(parameters["token_hash"])
        self.during()
        return found

    async def execute(self, statement: SQL | Composed, **parameters: Any) -> int:
        if self.is_away:
            raise DatabaseUnavailable("away")
        self.written.append(parameters)
        return 1


class Node:
    """The keys of one node, which listens."""

    def __init__(self) -> None:
        self.clock, self.database = SetClock(), CountingDatabase()
        self.keys = ApiKeys(self.database, self.clock)
        self._notifications = Notifications("postgresql://", Clock())
        self.keys.listen(self._notifications)

    def notify(self, account_id: str) -> None:
        for listener in self._notifications._subscribers["account_changed"]:
            listener(account_id)


@pytest.fixture
def node() -> Node:
    return Node()


async def test_key_is_read_once_and_knows_its_scopes(node: Node) -> None:
    node.database.rows[hash_of(KEY)] = row(node.clock)

    found = [await node.keys.find(KEY) for _ in range(100)]

    assert node.database.asked == 1
    assert found[-1] is not None
    assert found[-1].scopes == {ApiScope.READ}


async def test_revoked_key_is_unknown_from_the_notification_on(node: Node) -> None:
    node.database.rows[hash_of(KEY)] = row(node.clock)
    assert await node.keys.find(KEY)
    node.database.rows.clear()
    node.notify("another account")
    still = await node.keys.find(KEY)
    node.notify("A")

    assert still
    assert await node.keys.find(KEY) is None


async def test_revocation_during_a_read_is_not_overwritten_by_it(node: Node) -> None:
    node.database.rows[hash_of(KEY)] = row(node.clock)
    node.database.during = lambda: node.notify("A")
    await node.keys.find(KEY)
    node.database.rows.clear()
    node.database.during = lambda: None

    assert await node.keys.find(KEY) is None


async def test_lost_notification_is_made_up_for_after_half_a_minute(node: Node) -> None:
    node.database.rows[hash_of(KEY)] = row(node.clock)
    assert await node.keys.find(KEY)
    node.database.rows.clear()
    node.clock.advance(29)
    before = await node.keys.find(KEY)
    node.clock.advance(2)

    assert before
    assert await node.keys.find(KEY) is None


async def test_key_past_its_end_is_unknown_although_it_is_cached(node: Node) -> None:
    ends = node.clock.now() + timedelta(seconds=10)
    node.database.rows[hash_of(KEY)] = row(node.clock, expires_at=ends)
    node.clock.advance(9.9)
    before = await node.keys.find(KEY)
    node.clock.advance(0.1)

    assert before
    assert await node.keys.find(KEY) is None
    assert node.database.asked == 1


async def test_guesses_cost_one_query_each_and_other_tokens_none(node: Node) -> None:
    for _ in range(50):
        assert await node.keys.find(KEY) is None
        assert await node.keys.find("9E5C0B7A1D2F4E6C8B0A9D7F5E3C1B2A") is None
    once = node.database.asked
    node.database.rows[hash_of(KEY)] = row(node.clock)
    node.notify("A")

    assert once == 1
    assert await node.keys.find(KEY)


async def test_cache_and_list_of_guesses_are_bounded(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "_MAX_CACHED", 3)
    monkeypatch.setattr(api_keys, "_MAX_UNKNOWN", 3)
    for number in range(10):
        await node.keys.find(f"gwk_guess{number}")
        token_hash = hash_of(f"gwk_key{number}")
        node.database.rows[token_hash] = row(node.clock, token_hash=token_hash)
        await node.keys.find(f"gwk_key{number}")

    assert (len(node.keys._known), len(node.keys._unknown_until)) == (3, 3)


async def test_uses_are_written_together_and_kept_while_postgres_is_away() -> None:
    database, clock = CountingDatabase(), SetClock()
    uses = ApiKeyUses(database, clock)
    for number in range(100):
        uses.note(f"K{number % 2}", f"203.0.113.{number}")
    database.is_away = True
    with pytest.raises(DatabaseUnavailable):
        await uses.flush()
    uses.note("K1", "198.51.100.1")
    database.is_away = False
    await uses.flush()
    await uses.flush()

    assert database.written == [
        {
            "ids": ["K0", "K1"],
            "times": [clock.at, clock.at],
            "addresses": ["203.0.113.98", "198.51.100.1"],
        }
    ]


async def test_use_is_noted_again_after_a_moment_or_a_write() -> None:
    clock = SetClock()
    uses = ApiKeyUses(CountingDatabase(), clock)
    due = [uses.is_due("K")]
    uses.note("K", None)
    due.append(uses.is_due("K"))
    clock.advance(5)
    due.append(uses.is_due("K"))
    uses.note("K", None)
    await uses.flush()

    assert [*due, uses.is_due("K")] == [True, False, True, True]


def test_new_keys_differ_from_every_other_token() -> None:
    key = new_api_key(lambda count: b"\xab" * count)

    assert key == KEY
    assert is_api_key(key)
    with pytest.raises(InvalidRequest):
        check_token(key)
