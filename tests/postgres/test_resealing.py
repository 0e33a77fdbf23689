"""Stored rows follow the rule of their account: encrypted, decrypted, or under another key."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from gateway.administration.resealing import Resealing
from gateway.administration.sealed_tables import TABLES
from gateway.clock import Clock
from gateway.database.payload_seal import PayloadSeal, key_id_of
from gateway.database.pool import Database
from gateway.instances.store import Instance
from gateway.runtime.payload_keys import payload_key_findings
from gateway.settings.node_sections import StorageSection
from tests.fixtures.queue import add_instances, rows

MARK = "Ahoy"
FIRST, SECOND = "first" * 8, "second" * 8
BODY = f'{{"type":"ReceivedCallback","text":{{"message":"{MARK}"}}}}'
EXISTING = """
    insert into message_queue (instance_id, sequence_number, position, version, priority,
            max_attempts, status, zaap_id, message_id, type, phone, payload, last_error)
        select %(id)s, n, n, 1, 1, 3, 'failed', n, n, 'send-text', '1', %(json)s, %(text)s
        from generate_series(1, 450) n;
    insert into inbox (instance_id, event_id, chat, body)
        values (%(id)s, '1', '1', %(json)s);
    insert into webhook_dead_letters (instance_id, id, chat, type, body, attempts, last_error,
            created_at)
        values (%(id)s, gen_random_uuid(), '1', 'ReceivedCallback', %(body)s, 1, '', now());
    insert into webhook_events (account_id, instance_id, chat, id, type, body)
        values ('acme', %(id)s, '1', gen_random_uuid(), 'ReceivedCallback', %(body)s);
    insert into webhook_outbox (instance_id, chat, position, id, type, body)
        values (%(id)s, '1', 1, gen_random_uuid(), 'ReceivedCallback', %(body)s);
    insert into further_outbox (webhook_id, instance_id, chat, position, id, type, body)
        values (gen_random_uuid(), %(id)s, '1', 1, gen_random_uuid(), 'ReceivedCallback', %(body)s);
    insert into webhook_deliveries (instance_id, callback_id, type, chat, target, attempt, taken,
            answer, duration_ms)
        values (%(id)s, gen_random_uuid(), 't', '1', 'r', 1, true, %(text)s, 1);
    insert into media (instance_id, id, mime_type, file_name, size_bytes, expires_at)
        values (%(id)s, 'f', 'image/png', %(text)s, 1, now());
    insert into messages (instance_id, message_id, created_at, version, from_me, status, phone,
            type, payload, provider_data, error, sent_files)
        values (%(id)s, 'm', now(), 1, true, 'failed', '1', 'send-text', %(json)s, %(bytes)s,
            %(text)s, %(text)s);
    insert into message_attempts (instance_id, message_id, started_at, ended_at, outcome, error)
        values (%(id)s, 'm', now(), now(), 'refused', %(text)s);
    insert into consents (instance_id, phone, status, note)
        values (%(id)s, '1', 'granted', %(text)s);
    insert into chats (instance_id, phone, note) values (%(id)s, '2', %(text)s);
    insert into contacts (instance_id, phone, vname) values (%(id)s, '3', %(text)s);
    insert into whatsmeow.events (instance_id, name, body) values (%(id)s, 'Message', %(json)s);
    insert into whatsmeow.polls (instance_id, provider_message_id, options)
        values (%(id)s, 'p', array[%(text)s, %(text)s]);
    insert into sandbox.sent (instance_id, message_id, type, phone, payload)
        values (%(id)s, 'm', 'send-text', '1', %(json)s);
    insert into sandbox.marks (instance_id, message_id, marks) values (%(id)s, 'm', %(json)s);
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, min_size=1, max_size=2)
    await database.open()
    yield database
    await database.pool.close()


async def existing_rows(operator: AsyncConnection) -> Instance:
    """Adds a plain row to every table that holds content, and several pages to the queue."""
    (instance,) = await add_instances(operator, 1)
    values = {
        "id": instance.id,
        "json": Jsonb({"message": MARK, "delay_message": 7}),
        "text": MARK,
        "body": BODY,
        "bytes": MARK.encode(),
    }
    for statement in EXISTING.split(";")[:-1]:
        await operator.execute(statement.encode(), values)
    return instance


async def contents(operator: AsyncConnection) -> dict[str, str]:
    """Returns the content of every table as one text."""
    found = {}
    for table in TABLES:
        for column in table.content:
            values = await rows(operator, f"select {column} from {'.'.join(table.name)} order by 1")
            found[f"{table.name[1]}.{column}"] = repr(values)
    return found


async def pass_over(database: Database, *secrets: str, grace_seconds: float = 0.0) -> None:
    task = Resealing(
        database,
        PayloadSeal(secrets, os.urandom),
        Clock(),
        default=False,
        grace_seconds=grace_seconds,
        budget_seconds=60.0,
    )
    for _pass in range(3):
        await task.run()


def storage_of(secrets: str) -> StorageSection:
    return StorageSection.model_validate({"GATEWAY_SECRET_KEY": secrets})


async def encrypts(operator: AsyncConnection, *, value: bool | None) -> None:
    await operator.execute("update accounts set payload_encryption = %s", [value])


async def progress(operator: AsyncConnection) -> tuple[str, list[str], int, bool]:
    (row,) = await rows(
        operator,
        "select target, key_ids, unopened, finished_at is not null from payload_seals",
    )
    return tuple(row)


async def test_existing_rows_are_encrypted_and_decrypted_again(
    database: Database, operator: AsyncConnection
) -> None:
    await existing_rows(operator)
    before = await contents(operator)
    await pass_over(database, FIRST)
    assert await contents(operator) == before, "no account wants it"

    await encrypts(operator, value=True)
    await pass_over(database, FIRST)

    encrypted = await contents(operator)
    assert [name for name, text in encrypted.items() if MARK in text] == []
    key = key_id_of(FIRST)
    assert [name for name, text in encrypted.items() if key not in text] == []
    assert await progress(operator) == (key, [key], 0, True)
    delays = await rows(operator, "select distinct payload ->> 'delay_message' from message_queue")
    assert delays == ["7"]

    await encrypts(operator, value=None)
    await pass_over(database, FIRST)

    assert _unordered(await contents(operator)) == _unordered(before)
    assert await progress(operator) == ("", [], 0, True)


async def test_rotation_moves_rows_to_the_new_key_and_reports_the_old_one_unused(
    database: Database, operator: AsyncConnection
) -> None:
    await existing_rows(operator)
    await encrypts(operator, value=True)
    await pass_over(database, FIRST)
    storage = storage_of(f"{SECOND},{FIRST}")
    (used,) = await payload_key_findings(storage, operator)
    assert (
        used.sentence == f"earlier secret 1 (key {key_id_of(FIRST)}): 1 account may still need it"
    )

    await pass_over(database, SECOND, FIRST)

    text = "".join((await contents(operator)).values())
    assert key_id_of(FIRST) not in text
    assert key_id_of(SECOND) in text
    (unused,) = await payload_key_findings(storage, operator)
    assert f"(key {key_id_of(FIRST)}): no content needed it at 20" in unused.sentence
    (missing,) = await payload_key_findings(storage_of(FIRST), operator)
    assert f"may need key {key_id_of(SECOND)}" in missing.sentence
    assert missing.cure


async def test_rows_that_no_key_opens_stay_and_keep_their_key_in_use(
    database: Database, operator: AsyncConnection
) -> None:
    await existing_rows(operator)
    await encrypts(operator, value=True)
    await pass_over(database, FIRST)
    before = await contents(operator)

    await pass_over(database, SECOND)

    assert await contents(operator) == before
    target, keys, unopened, is_finished = await progress(operator)
    assert target == key_id_of(SECOND)
    assert set(keys) == {key_id_of(FIRST), key_id_of(SECOND)}
    assert unopened >= 450
    assert is_finished


async def test_locked_row_is_left_for_another_pass(
    database: Database, database_url: str, operator: AsyncConnection
) -> None:
    await existing_rows(operator)
    await encrypts(operator, value=True)

    async with await AsyncConnection.connect(database_url) as other:
        await other.execute("select from message_queue where sequence_number = 300 for update")
        await pass_over(database, FIRST)
        plain = await rows(
            operator, "select sequence_number from message_queue where not payload ? 'sealed'"
        )
        assert plain == [300]
        assert not (await progress(operator))[3]
    await pass_over(database, FIRST)

    assert (
        await rows(
            operator, "select sequence_number from message_queue where not payload ? 'sealed'"
        )
        == []
    )
    assert (await progress(operator))[3]


async def test_pass_right_after_a_change_is_not_the_last(
    database: Database, operator: AsyncConnection
) -> None:
    await existing_rows(operator)
    await encrypts(operator, value=True)

    await pass_over(database, FIRST, grace_seconds=3600.0)

    assert MARK not in "".join((await contents(operator)).values())
    assert not (await progress(operator))[3]


async def test_a_run_goes_on_where_the_one_before_stopped(
    database: Database, operator: AsyncConnection
) -> None:
    await existing_rows(operator)
    await encrypts(operator, value=True)
    task = Resealing(
        database,
        PayloadSeal((FIRST,), os.urandom),
        OnePageClock(),
        default=False,
        grace_seconds=0.0,
        budget_seconds=2.5,
    )

    await task.run()
    first = await rows(operator, "select count(*) from message_queue where payload ? 'sealed'")
    await task.run()
    second = await rows(operator, "select count(*) from message_queue where payload ? 'sealed'")

    assert 0 < first[0] < second[0]


class OnePageClock(Clock):
    """A clock on which a second passes with every look at it."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic_seconds(self) -> float:
        self._now += 1.0
        return self._now


def _unordered(found: dict[str, str]) -> Any:
    return {name: sorted(text) for name, text in found.items()}


async def test_rows_written_late_under_an_earlier_key_are_found_by_the_daily_check(
    database: Database, operator: AsyncConnection
) -> None:
    instance = await existing_rows(operator)
    await encrypts(operator, value=True)
    await pass_over(database, SECOND, FIRST)
    late = PayloadSeal((FIRST,), os.urandom).seal_text(instance.id, MARK)
    await operator.execute("update media set file_name = %s", [late])
    await pass_over(database, SECOND, FIRST)
    assert await rows(operator, "select file_name from media") == [late], "not a day later"

    await operator.execute("update payload_seals set checked_at = now() - interval '25 hours'")
    await pass_over(database, SECOND, FIRST)

    (name,) = await rows(operator, "select file_name from media")
    assert key_id_of(SECOND) in name
    assert (await progress(operator))[3]


async def test_row_that_postgres_refuses_does_not_keep_the_others_back(
    database: Database, operator: AsyncConnection
) -> None:
    instance = await existing_rows(operator)
    seal = PayloadSeal((FIRST,), os.urandom)
    with_nul = seal.seal_object(instance.id, b'{"message": "a\\u0000b"}', {})
    await operator.execute("update sandbox.sent set payload = %s", [Jsonb(with_nul)])
    await encrypts(operator, value=True)
    await pass_over(database, FIRST)
    await encrypts(operator, value=False)

    await pass_over(database, FIRST)

    target, _keys, unopened, is_finished = await progress(operator)
    assert (target, unopened, is_finished) == ("", 1, True)
    assert await rows(operator, "select distinct payload ->> 'message' from message_queue") == [
        MARK
    ]
