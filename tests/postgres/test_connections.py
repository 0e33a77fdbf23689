"""Each instance has exactly one active connection, also one of an earlier release."""

import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

import gateway.database.migrations as migrator
from gateway.administration.connection_sealing import ConnectionSealing
from gateway.administration.connections import (
    ConnectionContext,
    add_connection,
    change_settings,
    delete_connection,
    list_connections,
)
from gateway.administration.partner import ProviderSelection
from gateway.contract.extensions.connections import (
    AddConnection,
    ChangeConnectionSettings,
    DeleteConnection,
    ListConnections,
    ReceiptAlarm,
)
from gateway.database.pool import Database
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.instances.creation import Registry
from gateway.instances.provider_settings import seal_settings, settings_of
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import TokenVault
from gateway.send_queue.claim_cursor import ClaimCursor
from gateway.send_queue.outcome import Failed, Retried
from tests.fixtures.previous import PREVIOUS_QUERIES
from tests.fixtures.queue import add_instance_rows, rows, running_node, taken

CONNECTIONS_MIGRATION = 66
VAULT = TokenVault(("s" * 32,), os.urandom)
GIVEN = {"url": "https://api.example.com", "apiKey": "top secret"}
SECRET = frozenset({"apiKey"})
ALARM = ReceiptAlarm(missing_receipts=10, of_messages=10, wait_seconds=3_600)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, min_size=1, max_size=2)
    await database.open()
    yield database
    await database.pool.close()


async def added_instance(database: Database) -> Instance:
    registry = Registry(database, VAULT, os.urandom, secret_settings=lambda _name: SECRET)
    account = await registry.add_account("Shop", client_token_required=True)
    new = await registry.add_instance(account.id, "One", provider="first", provider_settings=GIVEN)
    return await found(database, new.id)


async def found(database: Database, instance_id: str) -> Instance:
    row = await Instances(database).find(instance_id)
    assert row
    return row


def context_of(database: Database, instance: Instance) -> ConnectionContext:
    selection = ProviderSelection(["first", "second"], "first", trials=False)
    return ConnectionContext(database, VAULT, os.urandom, selection, ALARM, instance)


async def connections(database: Database, instance: Instance) -> Any:
    return (await list_connections(context_of(database, instance), ListConnections())).connections


async def test_new_instance_has_one_active_connection(
    database: Database, operator: AsyncConnection
) -> None:
    instance = await added_instance(database)

    (only,) = await connections(database, instance)

    assert (only.id, only.provider, only.mode) == (instance.connection_id, "first", "active")
    assert (only.state, only.connected, only.health.status) == (None, False, "unknown")
    assert settings_of(instance, SECRET, VAULT) == GIVEN
    stored = await rows(operator, "select settings_ciphertext from instance_connections")
    assert b"secret" not in stored[0]


async def test_health_is_unknown_where_no_live_node_owns_the_lease(
    database: Database, operator: AsyncConnection
) -> None:
    instance = await added_instance(database)
    await operator.execute("insert into nodes (id, expires_at) values ('a', 'infinity')")
    await operator.execute(
        "insert into instance_leases (instance_id, node_id, epoch) values (%s, 'a', 1)",
        [instance.id],
    )
    await operator.execute("update instance_lines set connected = true")
    await operator.execute(
        """update instance_connections
           set health = 'unhealthy', health_reason = 'No answer', health_since = now(),
               checked_at = now(), latency_ms = 9, error_rate = 0.5, repairs = 2,
               next_repair_at = now(), last_error = 'No answer', last_error_at = now()"""
    )
    (owned,) = await connections(database, instance)
    await operator.execute("update nodes set expires_at = now()")

    (left,) = await connections(database, instance)

    assert (owned.connected, owned.health.status, owned.health.latency_ms) == (
        True,
        "unhealthy",
        9,
    )
    assert owned.next_repair_at is not None
    assert (left.connected, left.health.status, left.next_repair_at) == (False, "unknown", None)
    kept = left.health.model_dump(exclude={"status", "checked_at"})
    assert set(kept.values()) == {None}, kept
    assert left.health.checked_at == owned.health.checked_at
    assert (left.repairs, left.last_error) == (2, "No answer")


async def test_standby_is_added_sealed_behind_the_active_one(
    database: Database, operator: AsyncConnection
) -> None:
    instance = await added_instance(database)
    context = context_of(database, instance)

    added = await add_connection(context, AddConnection(provider="second", settings=GIVEN))

    assert (added.mode, added.position, added.provider) == ("standby", 2, "second")
    listed = await connections(database, instance)
    assert [each.mode for each in listed] == ["active", "standby"]
    assert await found(database, instance.id) == instance
    everything = await rows(operator, "select c::text from instance_connections c")
    assert "top secret" not in str(everything)
    assert b"top secret".hex() not in str(everything)


async def test_second_active_connection_is_refused_by_the_schema(
    database: Database, operator: AsyncConnection
) -> None:
    instance = await added_instance(database)
    await add_connection(context_of(database, instance), AddConnection(provider="second"))

    with pytest.raises(UniqueViolation):
        await operator.execute("update instance_connections set instance_id = owner_instance_id")


async def test_connection_of_a_provider_that_the_instance_has_is_refused(
    database: Database,
) -> None:
    context = context_of(database, await added_instance(database))
    await add_connection(context, AddConnection(provider="second"))

    for provider in ("first", "second"):
        with pytest.raises(Conflict, match="name another provider"):
            await add_connection(context, AddConnection(provider=provider))
    with pytest.raises(InvalidRequest, match="provider: must be one of first, second"):
        await add_connection(context, AddConnection(provider="third"))


async def test_standby_is_refused_while_an_earlier_release_runs(
    database: Database, operator: AsyncConnection
) -> None:
    context = context_of(database, await added_instance(database))
    await operator.execute("insert into nodes (id, expires_at) values ('old', 'infinity')")

    with pytest.raises(Conflict, match="when every node has the new release"):
        await add_connection(context, AddConnection(provider="second"))

    await operator.execute("update nodes set expires_at = now()")
    assert (await add_connection(context, AddConnection(provider="second"))).position == 2


async def test_only_a_standby_can_be_deleted(database: Database) -> None:
    instance = await added_instance(database)
    context = context_of(database, instance)
    standby = await add_connection(context, AddConnection(provider="second"))
    assert instance.connection_id

    with pytest.raises(Conflict, match="an instance always has one"):
        await delete_connection(context, DeleteConnection(connection_id=instance.connection_id))
    with pytest.raises(NotFound):
        await delete_connection(context, DeleteConnection(connection_id="other"))
    await delete_connection(context, DeleteConnection(connection_id=standby.id))

    assert [each.id for each in await connections(database, instance)] == [instance.connection_id]


async def test_settings_that_are_left_out_stay_as_they_are(database: Database) -> None:
    context = context_of(database, await added_instance(database))

    first = await change_settings(
        context, ChangeConnectionSettings(missing_receipts=3, of_messages=5)
    )
    second = await change_settings(context, ChangeConnectionSettings(receipt_wait_seconds=60))
    with pytest.raises(InvalidRequest, match="give both"):
        await change_settings(context, ChangeConnectionSettings(of_messages=2))

    assert first.receipt_alarm == ReceiptAlarm(
        missing_receipts=3, of_messages=5, wait_seconds=3_600
    )
    assert second.receipt_alarm == first.receipt_alarm.model_copy(update={"wait_seconds": 60})
    assert second.fallback == "off"


async def test_upgrade_gives_each_instance_its_one_connection(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [each for each in migrator.migrations() if each.number < CONNECTIONS_MIGRATION]
    with monkeypatch.context() as patched:
        patched.setattr(migrator, "migrations", lambda: before)
        patched.setattr(migrator, "create_missing_functions", _no_functions)
        await migrator.migrate(empty_database_url)
    async with await AsyncConnection.connect(empty_database_url, autocommit=True) as connection:
        opened, never_opened = await add_instance_rows(connection, 2)
        settings = seal_settings(GIVEN, SECRET, VAULT)
        await connection.execute("update instances set provider_settings = %s", [Jsonb(settings)])
        await connection.execute(
            """insert into instance_connections (instance_id, state, phone, changed_at)
               values (%s, 'connected', '5511999999999', now())""",
            [opened],
        )
        await migrator.migrate(empty_database_url)
        await connection.execute(
            PREVIOUS_QUERIES["sessions", "note_connection"],
            {
                "instance_id": never_opened,
                "epoch": 1,
                "state": "unpaired",
                "phone": None,
                "reason": None,
                "at": datetime.now(UTC),
                "chat": "connection",
                "type": "DisconnectedCallback",
                "callback_id": uuid.uuid4(),
                "callback": "{}",
            },
        )
        stored = await rows(
            connection,
            """select owner_instance_id, provider, state, phone, settings_key_id
               from instance_connections order by owner_instance_id""",
        )
        database = Database(empty_database_url, min_size=1, max_size=2)
        await database.open()
        await ConnectionSealing(database, VAULT, lambda _name: SECRET).run()
        instance = await found(database, opened)
        await database.pool.close()

    assert stored == [
        (opened, "sandbox", "connected", "5511999999999", None),
        (never_opened, "sandbox", "unpaired", None, None),
    ]
    assert instance.sealed_settings
    assert settings_of(instance, SECRET, VAULT) == GIVEN


async def _no_functions(_connection: object) -> list[object]:
    return []


async def test_attempt_names_its_connection_before_it_starts(
    database_url: str, database: Database, operator: AsyncConnection
) -> None:
    (instance_id,) = await add_instance_rows(operator, 1)
    instance = await found(database, instance_id)
    assert instance.connection_id
    async with running_node(database_url) as node:
        cursor = ClaimCursor(instance.id, 1)
        for text in ("sent", "again", "given up"):
            await node.enqueue(instance, text)
        sent = await node.claim(cursor)
        assert await node.starter.start(sent, instance.connection_id)
        named = await rows(
            operator, "select connection_id from message_queue where attempt_started_at is not null"
        )
        await node.recorder.record(sent, taken(sent))
        for outcome in (Retried(3_600.0, "transient", "busy"), Failed("refused", "no")):
            claimed = await node.claim(cursor)
            assert await node.starter.start(claimed, instance.connection_id)
            await node.recorder.record(claimed, outcome)
            await operator.execute("update message_queue set phone = '55' || id::text")

    assert named == [instance.connection_id]
    recorded = [
        *await rows(operator, "select connection_id from messages"),
        *await rows(operator, "select connection_id from message_attempts"),
    ]
    assert recorded == [instance.connection_id] * 3
