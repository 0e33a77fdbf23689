"""The statements of the previous release work on the new schema, while nodes are replaced."""

import hashlib
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.sql import SQL

from gateway.database.queries import query
from tests.fixtures.previous import PREVIOUS_COMMIT, PREVIOUS_FOLDER, PREVIOUS_QUERIES, git
from tests.fixtures.queue import add_instances, rows

PHONE = "5511999999999"
URL = "https://receiver.example/hook"


class PreviousNode:
    """Runs statements of the previous release, each in a transaction of its own."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def run(self, file: str, name: str, **parameters: object) -> list[dict[str, Any]]:
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(PREVIOUS_QUERIES[file, name], parameters)
            return await cursor.fetchall() if cursor.description else []

    async def enqueue(
        self, instance_id: str, number: int, *, key: str | None = None, max_waiting: int = 0
    ) -> dict[str, Any]:
        """Enqueues one message and returns the row with the result."""
        (row,) = await self.run(
            "send_queue",
            "enqueue",
            flush_id=uuid.uuid4(),
            node_id="a",
            ordinals=[0],
            instance_ids=[instance_id],
            zaap_ids=[f"ZAAP{number}"],
            message_ids=[f"MESSAGE{number}"],
            types=["send-text"],
            versions=[1],
            phones=[PHONE],
            payloads=['{"message": "Hello"}'],
            priorities=[1],
            due_ats=[None],
            refuse_disconnected=[True],
            idempotency_keys=[key],
            body_hashes=[key and b"hash"],
            max_waiting=max_waiting,
            max_waiting_disconnected=0,
            max_attempts=3,
            max_age_seconds=None,
        )
        return row

    async def claim(self, instance_id: str) -> dict[str, Any]:
        """Claims and starts the message at the head of the queue."""
        front = -(2**63)
        (head,) = await self.run(
            "send_queue",
            "claim",
            instance_ids=[instance_id],
            epochs=[1],
            reordered=[0],
            first=[0],
            second=[1],
            third=[2],
            from_high=[front],
            from_normal=[front],
            from_bulk=[front],
            first_position=front,
        )
        assert await self.run(
            "send_queue", "start_attempts", instance_ids=[instance_id], ids=[head["id"]], epochs=[1]
        )
        return head

    async def record_sent(self, head: dict[str, Any]) -> list[dict[str, Any]]:
        return await self.run(
            "send_queue",
            "record_sent",
            instance_ids=[head["instance_id"]],
            ids=[head["id"]],
            epochs=[1],
            provider_message_ids=["PROVIDER1"],
            provider_data=[None],
            chats=[PHONE],
            callback_ids=[uuid.uuid4()],
            callbacks=['{"type": "DeliveryCallback"}'],
            echo_ids=[uuid.uuid4()],
            echoes=['{"type": "ReceivedCallback", "isGroup": false}'],
        )


@pytest.fixture
async def instance_id(operator: AsyncConnection) -> str:
    """The one instance: connected, its lease owned by node a, with webhooks."""
    (instance,) = await add_instances(operator, 1)
    await operator.execute(
        """update instances set delivery_callback_url = %(url)s, received_callback_url = %(url)s,
               connected_callback_url = %(url)s, disconnected_callback_url = %(url)s""",
        {"url": URL},
    )
    return instance.id


@pytest.fixture
def previous(operator: AsyncConnection) -> PreviousNode:
    return PreviousNode(operator)


async def test_previous_statements_are_understood(
    operator: AsyncConnection,
) -> None:
    assert len(PREVIOUS_QUERIES) > 100
    for (file, name), statement in PREVIOUS_QUERIES.items():
        await _prepare(operator, f"{file}_{name}", statement)


async def test_previous_enqueue_returns_the_results_it_expects(
    previous: PreviousNode, operator: AsyncConnection, instance_id: str
) -> None:
    fresh = await previous.enqueue(instance_id, 1, key="key")
    replayed = await previous.enqueue(instance_id, 2, key="key")
    await operator.execute("update idempotency_keys set body_hash = 'other'")
    reused = await previous.enqueue(instance_id, 3, key="key")
    full = await previous.enqueue(instance_id, 4, max_waiting=1)
    await operator.execute("update instance_lines set connected = false")
    refused = await previous.enqueue(instance_id, 5)

    assert fresh == {
        "ordinal": 0,
        "verdict": "new",
        "connected": True,
        "most": 0,
        "zaap_id": "ZAAP1",
        "message_id": "MESSAGE1",
        "wakes": False,
        "holder": "a",
    }
    assert (replayed["verdict"], replayed["message_id"]) == ("replayed", "MESSAGE1")
    assert reused["verdict"] == "key_reused"
    assert (full["verdict"], full["most"]) == ("full", 1)
    assert refused["verdict"] == "not_connected"


async def test_previous_node_sends_and_delivers_a_message(
    previous: PreviousNode, operator: AsyncConnection, instance_id: str
) -> None:
    await previous.enqueue(instance_id, 1)
    await operator.execute(
        """update message_queue set payload = payload || '{"track_id": "A 1"}'"""
    )
    (waiting,) = await previous.run(
        "send_queue",
        "list_waiting",
        instance_id=instance_id,
        after=0,
        status="pending",
        type=None,
        phone=None,
        limit=10,
        offset=0,
    )
    head = await previous.claim(instance_id)
    recorded = await previous.record_sent(head)
    state = await previous.run(
        "send_queue", "states_of", instance_ids=[instance_id], message_ids=["MESSAGE1"]
    )
    claim_id = uuid.uuid4()
    claimed = await previous.run(
        "webhooks",
        "claim_lines",
        held=[],
        most=10,
        claim_seconds=60.0,
        claim_id=claim_id,
        node_id="a",
        per_line=10,
    )
    finished = await previous.run(
        "webhooks",
        "finish_lines",
        instance_ids=[instance_id],
        chats=[PHONE],
        claim_ids=[claim_id],
        up_to=[claimed[-1]["position"]],
        progressed=[True],
        attempts=[0],
        pauses=[0.0],
        errors=[None],
        dead=[None],
        addresses=[None],
    )

    assert waiting["status"] == "pending"
    assert head["message_id"] == "MESSAGE1"
    assert recorded == [{"instance_id": instance_id, "recorded": True}]
    assert (state[0]["status"], state[0]["settled"]) == ("sent", True)
    assert [(c["type"], c["url"]) for c in claimed] == [
        ("DeliveryCallback", URL),
        ("ReceivedCallback", URL),
    ]
    assert finished == [{"instance_id": instance_id, "chat": PHONE, "goes_on": False}]
    assert await rows(operator, "select count(*) from webhook_outbox") == [0]
    assert await rows(operator, "select payload ->> 'track_id' from messages") == ["A 1"]
    # The trigger on the history stores the chat.
    assert await rows(operator, "select phone, unread from chats") == [(PHONE, 0)]


async def test_previous_node_records_a_failed_message(
    previous: PreviousNode, operator: AsyncConnection, instance_id: str
) -> None:
    await previous.enqueue(instance_id, 1)
    head = await previous.claim(instance_id)
    what = {"instance_id": instance_id, "id": head["id"], "epoch": 1}
    await previous.run(
        "send_queue",
        "record_retry",
        **what,
        after_seconds=0.0,
        error="no answer",
        outcome="retry",
    )
    await previous.claim(instance_id)
    await previous.run(
        "send_queue",
        "record_failed",
        **what,
        error="refused",
        outcome="failed",
        callback_id=uuid.uuid4(),
        callback='{"type": "DeliveryCallback"}',
    )

    assert await rows(operator, "select status, attempts from message_queue") == [("failed", 2)]
    assert await rows(operator, "select type from webhook_outbox") == ["DeliveryCallback"]
    assert await rows(operator, "select count(*) from webhook_events") == [1]


async def test_previous_node_notes_a_connection_and_a_received_message(
    previous: PreviousNode, operator: AsyncConnection, instance_id: str
) -> None:
    now = datetime.now(UTC)
    await previous.run(
        "sessions",
        "note_connection",
        instance_id=instance_id,
        epoch=1,
        state="connected",
        phone=PHONE,
        reason=None,
        at=now,
        chat="connection",
        type="ConnectedCallback",
        callback_id=uuid.uuid4(),
        callback="{}",
    )
    await previous.run(
        "history",
        "add_received",
        instance_id=instance_id,
        message_id="RECEIVED1",
        at=now,
        from_me=False,
        phone=PHONE,
        sender=PHONE,
        sender_name="Ana",
        type="text",
        payload="{}",
        provider_data=None,
        callback_id=uuid.uuid4(),
        callback="{}",
    )

    assert await rows(operator, "select chat, type from webhook_outbox order by chat") == [
        (PHONE, "ReceivedCallback"),
        ("connection", "ConnectedCallback"),
    ]
    assert await rows(operator, "select phone, unread from chats") == [(PHONE, 1)]


async def test_previous_node_marks_a_simulated_message(
    previous: PreviousNode, operator: AsyncConnection, instance_id: str
) -> None:
    await operator.execute(
        """insert into sandbox.phones (instance_id, phone, state, secret)
           values (%s, %s, 'connected', 'secret')""",
        [instance_id, PHONE],
    )
    for marks in (
        '{"pin": true, "reactions": {"a": "+"}}',
        '{"pin": null, "reactions": {"b": "-"}}',
    ):
        await previous.run(
            "sandbox",
            "mark_message",
            instance_id=instance_id,
            epoch=1,
            message_id="MESSAGE1",
            marks=marks,
        )

    assert await rows(operator, "select marks from sandbox.marks") == [
        {"reactions": {"a": "+", "b": "-"}}
    ]


def test_copy_of_the_previous_release_is_its_text() -> None:
    tree = git("ls-tree", "-r", "--name-only", PREVIOUS_COMMIT, "sql/queries/")
    if tree is None:
        pytest.skip("the history of the previous release is not here")
    names = tree.decode().split()

    assert sorted(Path(name).name for name in names) == sorted(
        file.name for file in (PREVIOUS_FOLDER / "queries").iterdir()
    )
    for name in names:
        text = git("show", f"{PREVIOUS_COMMIT}:{name}")
        assert text is not None
        copy = (PREVIOUS_FOLDER / "queries" / Path(name).name).read_bytes()
        assert hashlib.sha256(text).digest() == hashlib.sha256(copy).digest(), name


async def _prepare(connection: AsyncConnection, name: str, statement: SQL) -> None:
    numbers: dict[str, int] = {}
    text = re.sub(
        r"%\((\w+)\)s",
        lambda m: f"${numbers.setdefault(m[1], len(numbers) + 1)}",
        statement.as_string(),
    )
    if text.startswith("create "):  # cannot be prepared
        await connection.execute(text.encode())
    else:
        await connection.execute(f"prepare {name} as {text}".encode())


async def test_previous_node_delivers_nothing_of_further_webhooks(
    operator: AsyncConnection, previous: PreviousNode, instance_id: str
) -> None:
    await operator.execute(
        """insert into webhooks (id, instance_id, url)
           values (gen_random_uuid(), %s, 'https://crm.example/hook')""",
        [instance_id],
    )
    await operator.execute(
        """select enqueue_callbacks_v2(
               array[%s], array[%s], array['DeliveryCallback'], array[gen_random_uuid()],
               array['{"type": "DeliveryCallback"}'])""",
        [instance_id, PHONE],
    )

    claimed = await previous.run(
        "webhooks",
        "claim_lines",
        held=[],
        most=10,
        claim_seconds=60.0,
        claim_id=uuid.uuid4(),
        node_id="a",
        per_line=10,
    )
    await previous.run("webhooks", "forget_empty_lines")

    assert [row["url"] for row in claimed] == [URL]
    assert await rows(operator, "select claim_id from further_delivery_queues") == [None]
    assert await rows(operator, "select count(*) from further_outbox") == [1]


async def test_previous_node_retries_no_dead_letter_of_a_further_webhook(
    operator: AsyncConnection, previous: PreviousNode, instance_id: str
) -> None:
    further = uuid.uuid4()
    await operator.execute(
        "insert into webhooks (id, instance_id, url) values (%s, %s, 'https://crm.example/hook')",
        [further, instance_id],
    )
    for webhook_id in (uuid.UUID(int=0), further):
        await operator.execute(
            """insert into webhook_dead_letters (
                   instance_id, id, chat, type, body, attempts, last_error, created_at,
                   webhook_id)
               values (%s, gen_random_uuid(), %s, 'DeliveryCallback', '{}', 1, '', now(), %s)""",
            [instance_id, PHONE, webhook_id],
        )

    found = "select webhook_id, status, retries from webhook_dead_letters order by webhook_id"
    for expected in (1, None):
        (retried,) = await previous.run(
            "webhooks", "retry_dead_letters", instance_id=instance_id, id=None, limit=10
        )
        assert (retried["count"] or None) == expected
    assert await rows(operator, "select count(*) from webhook_outbox") == [1]
    assert await rows(operator, "select count(*) from further_outbox") == [0]
    assert await rows(operator, found) == [
        (uuid.UUID(int=0), "processing", 1),
        (further, "pending", 0),
    ]

    await operator.execute(
        query("webhooks", "retry_dead_letters"),
        {"instance_id": instance_id, "id": None, "webhook_id": None, "limit": 10},
    )

    assert await rows(operator, "select count(*) from webhook_outbox") == [1]
    assert await rows(operator, "select webhook_id from further_outbox") == [further]
    assert await rows(operator, found) == [
        (uuid.UUID(int=0), "processing", 1),
        (further, "processing", 1),
    ]
