"""A caller's reference is found by an index, in the queue and in history."""

import json

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL

from gateway.database.queries import query
from tests.fixtures.queue import add_instances, rows

MANY = 5_000
QUEUE = {
    "status": None,
    "type": None,
    "phones": None,
    "track_id": "order 7",
    "after": 0,
    "limit": 100,
    "offset": 0,
}
HISTORY = {
    "status": None,
    "track_id": "order 7",
    "before": None,
    "before_id": None,
    "from": None,
    "to": None,
    "limit": 51,
}
HISTORY_OF_CHAT = {**HISTORY, "phones": ["7"]}


FILL_QUEUE = """
    insert into message_queue (instance_id, sequence_number, position, version, priority,
                               max_attempts, status, zaap_id, message_id, type, phone, payload)
    select %s, n, n, 1, 1, 3, 'pending', 'Z' || n, 'Q' || n, 'send-text', '5511',
           jsonb_build_object('message', 'Hello')
           || case when n %% 10 = 0 then jsonb_build_object('track_id', 'order ' || n / 10)
                   else '{}' end
    from generate_series(1, %s) n"""
FILL_HISTORY = """
    insert into messages (instance_id, message_id, created_at, version, from_me, status, zaap_id,
                          phone, type, payload)
    select instance_id, message_id, now(), 1, true, 'sent', zaap_id, phone, type, payload
    from message_queue"""


async def fill(operator: AsyncConnection, instance_id: str) -> None:
    """Adds many messages to the queue and the history; every tenth has a reference."""
    await operator.execute(FILL_QUEUE, [instance_id, MANY])
    await operator.execute(FILL_HISTORY)
    await operator.execute("analyze message_queue, messages")


async def indexes_of(
    operator: AsyncConnection, file: str, name: str, **parameters: object
) -> set[str]:
    """Returns the indexes that the plan of a named statement reads."""
    statement = SQL("explain (format json) {}").format(query(file, name))
    ((plan,),) = await (await operator.execute(statement, parameters)).fetchall()
    return {place.partition('"')[0] for place in json.dumps(plan).split('"Index Name": "')[1:]}


@pytest.mark.parametrize(
    ("file", "name", "parameters", "table"),
    [
        ("send_queue", "list_waiting", QUEUE, "message_queue"),
        ("history", "list_messages", HISTORY, "messages"),
        ("history", "list_messages_of_chat", HISTORY_OF_CHAT, "messages"),
    ],
    ids=["queue", "history", "history of a chat"],
)
async def test_reference_is_found_by_its_index(
    operator: AsyncConnection, file: str, name: str, parameters: dict[str, object], table: str
) -> None:
    (instance,) = await add_instances(operator, 1)
    await fill(operator, instance.id)

    used = await indexes_of(operator, file, name, instance_id=instance.id, **parameters)

    tree = "select relid::regclass::text from pg_partition_tree(%s::regclass)"
    name = f"{table}_track_id"
    own = {name, *await rows(operator, tree, name)}
    assert used & own, used
