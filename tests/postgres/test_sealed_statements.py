"""Every statement that names content is listed, and the cursor seals what the list says."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import AsyncConnection
from pytest_postgresql.executors import NoopExecutor

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.payload_seal import PayloadSeal
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.database.queries import queries_in, query
from gateway.database.sealed_columns import STATEMENTS, SealedStatement
from gateway.database.sealing import EncryptionRules, Sealing
from gateway.providers.whatsmeow.store import Store
from tests.fixtures.postgres import PostgresServer, new_database
from tests.fixtures.queue import add_instances, rows

QUERIES = Path(__file__).parents[2] / "sql" / "queries"
NAMED = [
    (file.stem, name) for file in sorted(QUERIES.glob("*.sql")) for name in queries_in(file.stem)
]
CONTENT = {
    "payload",
    "body",
    "callback",
    "status_callback",
    "echo",
    "provider_data",
    "marks",
    "options",
    "note",
    "answer",
    "file_name",
    "event_body",
    "remote_message",
    "error",
    "last_error",
}
NO_CONTENT = {
    ("callback_traces", "list_callback_attempts"): "the status or error of a POST",
    ("callback_traces", "list_webhook_states"): "the status or error of a POST",
    ("connections", "list_connections"): "why a connection failed",
    ("baileys", "set_event_aside"): "the name of an exception",
    ("inbox", "record_event_error"): "the name of an exception",
    ("notifications", "notify"): "the ids of instances",
    ("proxies", "add_check"): "why a proxy did not answer",
    ("proxies", "list_checks"): "why a proxy did not answer",
    ("sandbox", "find_entity"): "groups and profiles of the simulated WhatsApp",
    ("sandbox", "find_invited"): "groups of the simulated WhatsApp",
    ("sandbox", "list_own_entities"): "groups and profiles of the simulated WhatsApp",
    ("sandbox", "list_joined_entities"): "groups of the simulated WhatsApp",
    ("sandbox", "list_linked"): "communities of the simulated WhatsApp",
    ("sandbox", "search_entities"): "channels of the simulated WhatsApp",
    ("sandbox", "write_entity"): "groups and profiles of the simulated WhatsApp",
    ("sessions", "record_connection"): "why a connection failed",
    ("webhooks", "finish_delivery_queues"): "the status or error of a POST",
    ("webhooks", "list_dead_letters"): "the status or error of a POST",
    ("webhooks", "list_deliveries"): "the status or error of a POST",
    ("webhooks", "list_failed_deliveries"): "the status or error of a POST",
    ("webhooks", "count_dead_letters_by_error"): "the status or error of a POST",
    ("whatsmeow", "set_event_aside"): "the name of an exception",
}


@pytest.fixture(scope="module")
def migrated(
    postgres_server: PostgresServer, migrated_postgres: NoopExecutor
) -> Iterator[psycopg.Connection]:
    template = migrated_postgres.template_dbname
    with (
        new_database(postgres_server, f"gateway_seals_{os.getpid()}", template) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        yield connection


def test_statements_that_name_content_are_listed(migrated: psycopg.Connection) -> None:
    missing = {}
    for file, name in NAMED:
        text = queries_in(file)[name].as_string()
        if text.startswith("create "):  # cannot be prepared
            continue
        parameters = set(re.findall(r"%\((\w+)\)s", text))
        columns = set(_columns_of(migrated, text))
        listed = STATEMENTS.get((file, name), SealedStatement())
        assert {*listed.writes} <= parameters, f"{file}/{name}"
        assert {*listed.reads} <= columns, f"{file}/{name}"
        named = {p for p in parameters if _singular(p) in CONTENT} | CONTENT & columns
        if unlisted := named - {*listed.writes, *listed.reads}:
            missing[file, name] = sorted(unlisted)

    assert missing.keys() == NO_CONTENT.keys(), missing


def _singular(parameter: str) -> str:
    return {"bodies": "body", "echoes": "echo", "event_bodies": "event_body"}.get(
        parameter, parameter.removesuffix("s") if parameter not in CONTENT else parameter
    )


def _columns_of(connection: psycopg.Connection, text: str) -> list[str]:
    numbers: dict[str, int] = {}
    text = re.sub(r"%\((\w+)\)s", lambda m: f"${numbers.setdefault(m[1], len(numbers) + 1)}", text)
    connection.pgconn.prepare(b"", text.encode())
    described = connection.pgconn.describe_prepared(b"")
    names = [described.fname(place) for place in range(described.nfields)]
    return [name.decode() for name in names if name]


async def test_each_row_of_a_statement_follows_the_rule_of_its_account(
    database_url: str, operator: AsyncConnection
) -> None:
    sealing = Sealing(PayloadSeal(("s" * 32,), os.urandom), EncryptionRules(default=False))
    open_one, secret_one = await add_instances(operator, 2)
    await operator.execute(
        "insert into accounts (id, name, payload_encryption) values ('b', 'B', true)"
    )
    await operator.execute("update instances set account_id = 'b' where id = %s", [secret_one.id])
    await operator.execute(
        "update instances set received_callback_url = 'https://receiver.example/'"
    )
    database = Database(database_url, min_size=1, max_size=1, sealing=sealing)
    await database.open()
    body = '{"type":"ReceivedCallback","text":{"message":"Ahoy"}}'
    try:
        await database.execute(
            query("webhooks", "enqueue_callbacks"),
            instance_ids=[open_one.id, secret_one.id],
            chats=["1", "2"],
            types=["ReceivedCallback"] * 2,
            ids=["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"],
            bodies=[body, body],
        )
        forged = "sealed:0badcafe.QUJDRA=="
        for instance in (open_one, secret_one):
            await database.execute(
                query("directory", "set_note"),
                instance_id=instance.id,
                phone="1",
                note=forged,
                note_id="n",
            )
        shown = await database.fetch_dicts(
            query("directory", "find_chats"), instance_id=open_one.id, phones=["1"]
        )
    finally:
        await database.pool.close()

    stored = dict(await rows(operator, "select instance_id, body from webhook_outbox"))
    assert stored[open_one.id] == body
    assert "Ahoy" not in stored[secret_one.id]
    assert forged not in await rows(operator, "select note from chats"), "a forged seal is sealed"
    assert shown[0]["note"] == forged


async def test_events_of_a_library_are_sealed_and_can_still_be_erased_by_person(
    database_url: str, operator: AsyncConnection
) -> None:
    sealing = Sealing(PayloadSeal(("s" * 32,), os.urandom), EncryptionRules(default=True))
    (instance,) = await add_instances(operator, 1)
    source = {"Chat": {"User": "5511"}, "Sender": {"User": "5511"}}
    body = {"Info": {"ID": "1", "PushName": "Ahoy", "MessageSource": source}, "Message": "Ahoy"}
    database = Database(database_url, min_size=1, max_size=1, sealing=sealing)
    await database.open()
    try:
        clock = Clock()
        provider = PostgresProviderStore(
            database, Notifications(database_url, clock), provider="whatsmeow"
        )
        store = Store(provider, clock)
        await store.add_event(instance.id, "Message", body)
        await store.add_poll(instance.id, "poll", ["Ahoy one", "Ahoy two"])
        stored = await rows(
            operator,
            "select body::text from whatsmeow.events union all"
            " select options::text from whatsmeow.polls",
        )
        (event,) = await store.events(instance.id, after=0)
        options = await store.poll_options(instance.id, "poll")
        await operator.execute(
            """update whatsmeow.events set body = '{"sealed": "0badcafe.AAAA"}'"""
        )
        unopened = await store.events(instance.id, after=0)
        await store.add_event(instance.id, "Message", body)
        (erased,) = await provider.fetch(
            "erase_person", instance_id=instance.id, users=["5511"], message_ids=[]
        )
    finally:
        await database.pool.close()

    assert "Ahoy" not in "".join(stored)
    assert event.body == body
    assert options == ["Ahoy one", "Ahoy two"]
    assert unopened == [], "left out until the key is back"
    assert erased["erased"] == 1
