"""The search for an erased person goes on after a restart, and ends."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence

import pytest
from psycopg import AsyncConnection

from gateway.administration.person_data import erasures_of
from gateway.administration.person_search import EraseAgain, PersonSearch
from gateway.clock import Clock
from gateway.database.payload_seal import PayloadSeal
from gateway.database.pool import Database
from tests.fixtures.queue import add_instances, rows

ANA, BEN = "5511988887777", "5511977776666"


class TickingClock(Clock):
    """Passes a second with each look at it."""

    seconds = 0.0

    def monotonic_seconds(self) -> float:
        self.seconds += 1.0
        return self.seconds


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, min_size=1, max_size=2)
    await database.open()
    yield database
    await database.pool.close()


async def never_again(instance_id: str, names: Sequence[str]) -> None:
    raise AssertionError(f"nothing was being sent to {names} of {instance_id}")


def search_in(
    database: Database, *, budget_seconds: float = 1e9, erase_again: EraseAgain = never_again
) -> PersonSearch:
    """A search of a process that has just started; it reads three rows at once."""
    seal = PayloadSeal(("s" * 32,), os.urandom)
    return PersonSearch(
        database,
        seal,
        TickingClock(),
        erase_again,
        budget_seconds=budget_seconds,
        rows_at_once=3,
    )


async def add_messages(operator: AsyncConnection, instance_id: str, count: int) -> None:
    await operator.execute(
        """insert into messages (instance_id, message_id, created_at, version, from_me, status,
                                 phone, type, payload)
           select %s, n::text, now(), 1, false, 'received', %s, 'text',
                  jsonb_build_object('text', jsonb_build_object('message', 'ask ' || %s || '!'))
           from generate_series(1, %s) n""",
        (instance_id, BEN, ANA, count),
    )


async def searches(operator: AsyncConnection) -> int:
    return len(await rows(operator, "select 1 from person_searches"))


async def naming(operator: AsyncConnection) -> int:
    statement = "select 1 from messages where strpos(payload::text, %s) > 0"
    return len(await rows(operator, statement, ANA))


async def test_search_goes_on_in_another_process(
    database: Database, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await add_messages(operator, instance.id, 10)
    async with database.transaction() as connection:
        await search_in(database).add(connection, instance.id, [ANA])

    left, runs, shown = [10], 0, [0]
    while found := await erasures_of(database, instance.id, [ANA]):
        assert await erasures_of(database, instance.id, [BEN]) == []
        shown.append(found[0].percent)
        await search_in(database, budget_seconds=3.0).run()
        left.append(await naming(operator))
        runs += 1
        assert runs < 200, "the search does not end"

    assert left == sorted(left, reverse=True)
    assert len(set(left)) > 2, "no single run reached all of it"
    assert shown == sorted(shown), "the progress only grows"
    assert len(set(shown)) > 5
    assert await searches(operator) == 0
    stored = await rows(operator, "select distinct payload ->> 'text' from messages")
    assert [json.loads(text) for text in stored] == [{"message": "ask *************!"}]


async def test_row_that_another_transaction_holds_is_found_by_a_later_pass(
    database: Database, database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await add_messages(operator, instance.id, 2)
    async with database.transaction() as connection:
        await search_in(database).add(connection, instance.id, [ANA])
    async with await AsyncConnection.connect(database_url) as other:
        await other.execute("select 1 from messages where message_id = '1' for update")

        async with asyncio.timeout(60):
            await search_in(database).run()

        assert await naming(operator) == 1
        assert await searches(operator) == 1
    while await searches(operator):
        await search_in(database).run()
    assert await naming(operator) == 0


async def test_person_is_erased_again_when_a_message_to_them_was_sent(
    database: Database, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await operator.execute(
        """insert into message_queue (instance_id, sequence_number, position, attempt_started_at,
                                      claimed_epoch, version, priority, max_attempts, status,
                                      zaap_id, message_id, type, phone, payload)
           values (%s, 1, 1, now(), 1, 1, 1, 3, 'processing', 'Z', 'M', 'send-text', %s, '{}')""",
        (instance.id, ANA),
    )
    erased: list[tuple[str, list[str]]] = []

    async def erase_again(instance_id: str, names: Sequence[str]) -> None:
        erased.append((instance_id, list(names)))

    search = search_in(database, erase_again=erase_again)
    async with database.transaction() as connection:
        await search.add(connection, instance.id, [ANA])
    for _ in range(3):
        await search.run()
    assert (erased, await searches(operator)) == ([], 1)

    await operator.execute("delete from message_queue")
    while await searches(operator):
        await search.run()

    assert erased == [(instance.id, [ANA])]
