"""The cache of instances follows notifications, and unknown ids cost few queries."""

from typing import Any, cast

import pytest
from psycopg.sql import SQL

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.instances.store import Instance, Instances

INSTANCE = cast("Instance", object())


class CountingDatabase(Database):
    """Answers from a dictionary and counts its queries."""

    def __init__(self) -> None:
        self.rows: dict[str, Instance] = {}
        self.asked = 0

    def for_look_ups(self) -> "CountingDatabase":
        return self

    async def fetch_one(self, row: type[Any], statement: SQL, **parameters: object) -> Any:
        self.asked += 1
        return self.rows.get(str(parameters["id"]))


@pytest.fixture
def database() -> CountingDatabase:
    return CountingDatabase()


def listening(instances: Instances) -> Notifications:
    notifications = Notifications("postgresql://", Clock())
    instances.listen(notifications)
    return notifications


def announce(notifications: Notifications, instance_id: str) -> None:
    for listener in notifications._subscribers["instance_changed"]:
        listener(instance_id)


async def test_find_unknown_id_queries_once(database: CountingDatabase) -> None:
    instances = Instances(database)

    found = [await instances.find("unknown") for _ in range(100)]

    assert found == [None] * 100
    assert database.asked == 1


async def test_find_after_notification_sees_new_instance(database: CountingDatabase) -> None:
    instances = Instances(database)
    notifications = listening(instances)
    before = await instances.find("new")
    database.rows["new"] = INSTANCE

    announce(notifications, "new")

    assert (before, await instances.find("new")) == (None, INSTANCE)


async def test_find_without_notification_sees_new_instance_later(
    database: CountingDatabase,
) -> None:
    now = 0.0
    instances = Instances(database, seconds=lambda: now)
    await instances.find("new")
    database.rows["new"] = INSTANCE

    at_once = await instances.find("new")
    now = 11.0

    assert (at_once, await instances.find("new")) == (None, INSTANCE)


async def test_find_with_change_during_query_caches_nothing(
    database: CountingDatabase,
) -> None:
    instances = Instances(database)
    notifications = listening(instances)

    async def fetch_late(*_: Any, **__: Any) -> Any:
        announce(notifications, "new")  # committed after our statement saw the table
        return None

    database.fetch_one = fetch_late  # type: ignore[method-assign]
    await instances.find("new")
    del database.fetch_one
    database.rows["new"] = INSTANCE

    assert await instances.find("new") is INSTANCE


async def test_find_unknown_ids_are_cached_up_to_a_limit(database: CountingDatabase) -> None:
    instances = Instances(database)

    for n in range(10_100):
        await instances.find(f"wrong {n}")
    await instances.find("x" * 5_000)

    assert len(instances._unknown_until) == 10_000
