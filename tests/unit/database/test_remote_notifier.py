"""Other nodes are notified of every commit, also where Postgres was away or this node stops."""

import asyncio
from typing import cast

from gateway.clock import Clock
from gateway.database.notifications import RemoteNotifier
from gateway.database.pool import Database
from gateway.errors import DatabaseUnavailable
from tests.fixtures.patience import PATIENCE_SECONDS


class ImpatientClock(Clock):
    """Ends each pause at once, unless only an event can end it."""

    async def wait(self, event: asyncio.Event, timeout_seconds: float | None) -> bool:
        await asyncio.sleep(0)
        return await super().wait(event, None if timeout_seconds is None else 0.0)


class RecordedDatabase:
    """Counts the notifications, and fails the first ones."""

    def __init__(self, failures: int = 0) -> None:
        self._failures = failures
        self.sent = 0
        self.notified = asyncio.Event()

    async def execute(self, _statement: object, **_parameters: object) -> int:
        if self._failures:
            self._failures -= 1
            raise DatabaseUnavailable("away")
        self.sent += 1
        self.notified.set()
        return 1


def notifier_on(database: RecordedDatabase) -> RemoteNotifier:
    return RemoteNotifier(cast("Database", database), ImpatientClock(), "callbacks")


async def run_until_notified(notifier: RemoteNotifier, database: RecordedDatabase) -> None:
    stopping = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(notifier.run_until(stopping))
        await database.notified.wait()
        stopping.set()


async def test_notifier_database_away_notifies_later() -> None:
    database = RecordedDatabase(failures=2)
    notifier = notifier_on(database)

    notifier.notify()
    await run_until_notified(notifier, database)

    assert database.sent == 1


async def test_notifier_without_request_sends_nothing() -> None:
    database = RecordedDatabase()
    stopping = asyncio.Event()
    stopping.set()

    await notifier_on(database).run_until(stopping)

    assert database.sent == 0


async def test_notifier_that_stops_sends_what_is_due() -> None:
    database = RecordedDatabase()
    notifier = notifier_on(database)
    stopping = asyncio.Event()
    stopping.set()

    notifier.notify()
    await notifier.run_until(stopping)

    assert database.sent == 1


async def test_notifier_that_stops_without_database_ends() -> None:
    database = RecordedDatabase(failures=1)
    notifier = notifier_on(database)
    stopping = asyncio.Event()
    stopping.set()

    notifier.notify()
    await notifier.run_until(stopping)

    assert database.sent == 0
