"""The statements that `growth` measures, in the order in which a message meets them.

Each round is one transaction that is rolled back: a message is accepted, claimed, started,
recorded and delivered, so that every statement finds what it changes.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from tests.benchmarks.growth_history import CHATS, LINE

Parameters = Mapping[str, Any]
_NODE = "growth"


def chat_of(number: int) -> str:
    return f"55119{number:08}"


_CHAT = chat_of(CHATS // 2)


@dataclass(frozen=True, slots=True)
class Step:
    """A statement with its parameters; those that it does not name are null."""

    file: str
    name: str
    parameters: Parameters
    once: bool = True
    """Whether the gateway runs it on `Database.planned_once`."""
    each_time: bool = False
    """Whether the gateway runs it on `Database.planned_each_time`."""
    label: str = ""

    @property
    def title(self) -> str:
        return f"{self.name} ({self.label})" if self.label else self.name


@dataclass(slots=True)
class Round:
    """What the statements of one round are about."""

    receipts_of: list[str]
    """Messages of history, by their ids."""
    claim_id: uuid.UUID = field(default_factory=uuid.uuid4)
    delivery_claim_id: uuid.UUID = field(default_factory=uuid.uuid4)
    row_id: int = 0
    message_id: str = "M"


async def find_round(connection: psycopg.AsyncConnection) -> Round:
    """Messages of the instance from the whole of history, if it has any."""
    cursor = await connection.execute(
        """(select message_id from messages where instance_id = %(line)s and from_me
            order by recorded_at limit 5)
           union all
           (select message_id from messages where instance_id = %(line)s and from_me
            order by recorded_at desc limit 5)""",
        {"line": LINE},
    )
    return Round([message_id for (message_id,) in await cursor.fetchall()] or ["none"] * 10)


async def note_claimed(connection: psycopg.AsyncConnection, of: Round) -> None:
    """Learns which message the claim of the round took."""
    cursor = await connection.execute(
        "select id, message_id from message_queue where instance_id = %s and status = 'processing'",
        [LINE],
    )
    ((of.row_id, of.message_id),) = await cursor.fetchall()


def steps(of: Round) -> Iterator[Step]:
    """Yields the statements; after `claim`, the caller calls `note_claimed`."""
    yield from _sending(of)
    yield from _callbacks(of)
    yield from _receiving(of)


def enqueue_parameters(
    lines: list[str], chats: list[str], *, keys: Sequence[str | None]
) -> dict[str, Any]:
    """One text for each instance; each has its own idempotency key, or none."""
    count = len(lines)
    ids = [uuid.uuid4().hex.upper() for _ in lines]
    return {
        "flush_id": uuid.uuid4(),
        "node_id": _NODE,
        "ordinals": list(range(count)),
        "instance_ids": lines,
        "zaap_ids": [f"Z{one}" for one in ids],
        "message_ids": [f"3EB0{one[:18]}" for one in ids],
        "types": ["send-text"] * count,
        "versions": [1] * count,
        "phones": chats,
        "payloads": ["{}"] * count,
        "priorities": [1] * count,
        "due_ats": [None] * count,
        "expires_ats": [None] * count,
        "expires_ins": [None] * count,
        "refuse_disconnected": [False] * count,
        "idempotency_keys": list(keys),
        "body_hashes": [b"body"] * count,
        "max_waiting": 100_000,
        "max_waiting_disconnected": 1_000,
        "max_attempts": 3,
        "max_age_seconds": None,
    }


def finish_parameters(found: Sequence[Mapping[str, Any]], claim_id: uuid.UUID) -> dict[str, Any]:
    """Says that every callback of a claim was delivered at the first attempt."""
    last = {(row["webhook_id"], row["instance_id"], row["chat"]): row["position"] for row in found}
    return {
        "webhook_ids": [webhook_id for webhook_id, _, _ in last],
        "instance_ids": [instance_id for _, instance_id, _ in last],
        "chats": [chat for _, _, chat in last],
        "claim_ids": [claim_id] * len(last),
        "up_to": list(last.values()),
        "progressed": [True] * len(last),
        "attempts": [0] * len(last),
        "pauses": [0.0] * len(last),
        "errors": [None] * len(last),
        "dead": [None] * len(last),
        "addresses": [None] * len(last),
        "logged_instance_ids": [row["instance_id"] for row in found],
        "callback_ids": [row["id"] for row in found],
        "types": [row["type"] for row in found],
        "logged_chats": [row["chat"] for row in found],
        "targets": ["https://example.com/hook"] * len(found),
        "numbers": [1] * len(found),
        "delivered": [True] * len(found),
        "statuses": [200] * len(found),
        "logged_errors": [None] * len(found),
        "answers": [None] * len(found),
        "durations_ms": [12] * len(found),
        "logged_webhook_ids": [row["webhook_id"] for row in found],
        "are_repeated": [False] * len(found),
    }


def _sending(of: Round) -> Iterator[Step]:
    queue = "send_queue"
    many = [f"BENCH{n:08}" for n in range(2, 102)]
    keys = [uuid.uuid4().hex for _ in many]
    for label, parameters in (
        ("one", enqueue_parameters([LINE], [_CHAT], keys=[None])),
        ("one with a key", enqueue_parameters([LINE], [_CHAT], keys=["key"])),
        ("100 with keys", enqueue_parameters(many, [_CHAT] * 100, keys=keys)),
        ("100", enqueue_parameters(many, [_CHAT] * 100, keys=[None] * 100)),
    ):
        yield Step(queue, "enqueue", parameters, label=label)
    first = {"reordered": [0], "first": [0], "second": [1], "third": [2]}
    start = {"from_high": [0], "from_normal": [0], "from_bulk": [0], "first_position": 0}
    yield Step(
        queue,
        "claim",
        {
            "instance_ids": [LINE],
            "epochs": [1],
            "claim_ids": [of.claim_id],
            "earlier_claim_ids": [],
            **first,
            **start,
        },
    )
    row = {"instance_ids": [LINE], "ids": [of.row_id], "claim_ids": [of.claim_id]}
    yield Step(queue, "find_owned", row)
    yield Step(queue, "start_attempts", {**row, "epochs": [1], "connection_ids": [None]})
    yield Step(queue, "find_orphans", {"instance_ids": [LINE], "epochs": [1]}, once=False)
    yield Step(
        queue,
        "record_sent",
        {
            **row,
            "epochs": [1],
            "provider_message_ids": [of.message_id],
            "provider_data": [None],
            "chats": [_CHAT],
            "callback_ids": [uuid.uuid4()],
            "callbacks": ["{}"],
            "echo_ids": [None],
            "echoes": [None],
            "status_ids": [uuid.uuid4()],
            "status_callbacks": ["{}"],
            "sent_files": [None],
        },
    )
    yield Step(queue, "mark_idle", {"instance_ids": [LINE]})
    node = {"node_id": _NODE}
    yield Step(queue, "promote_due", node)
    yield Step(queue, "release_known", node)
    yield Step(queue, "find_stalled_queues", node)
    yield Step(queue, "next_scheduled", node)
    yield Step(queue, "find_waiting_queues", node, once=False)
    yield Step(queue, "find_unowned_queues", {}, once=False)
    yield Step(queue, "find_expired", {"max_count": 1_000}, once=False)
    yield Step(queue, "sent_today", {"instance_id": LINE, "max_count": 1_000})
    yield Step(
        queue,
        "find_message_ids",
        {"instance_ids": [LINE], "message_ids": ["M1-0"]},
    )
    yield Step(
        queue,
        "find_progress",
        {"instance_ids": [LINE], "message_ids": [of.message_id]},
        once=False,
    )


def _callbacks(of: Round) -> Iterator[Step]:
    yield Step(
        "webhooks",
        "enqueue_callbacks",
        {
            "instance_ids": [LINE],
            "chats": [_CHAT],
            "types": ["DeliveryCallback"],
            "ids": [uuid.uuid4()],
            "bodies": ["{}"],
        },
    )
    none_blocked: Parameters = {"blocked": [], "full_accounts": []}
    yield Step(
        "webhooks",
        "claim_delivery_queues",
        {
            "max_count": 100,
            "per_queue": 10,
            "claim_seconds": 60,
            "claim_id": of.delivery_claim_id,
            "node_id": _NODE,
            **none_blocked,
        },
    )
    delivered = {
        "webhook_id": uuid.UUID(int=0),
        "instance_id": LINE,
        "chat": _CHAT,
        "position": 2**40,
        "id": uuid.uuid4(),
        "type": "DeliveryCallback",
    }
    yield Step(
        "webhooks", "finish_delivery_queues", finish_parameters([delivered], of.delivery_claim_id)
    )
    yield Step("webhooks", "next_due", none_blocked)
    yield Step("webhooks", "assign_event_positions", {"max_count": 1_000}, once=False)
    yield Step("webhooks", "delete_empty_delivery_queues", {}, once=False)


def _receiving(of: Round) -> Iterator[Step]:
    count = len(of.receipts_of)
    yield Step(
        "inbox",
        "add_events",
        {
            "at_once": True,
            "instance_ids": [LINE],
            "event_ids": ["E1"],
            "chats": [_CHAT],
            "own_phones": [None],
            "bodies": ["{}"],
        },
    )
    event = {"instance_id": LINE, "event_id": "E1"}
    yield Step("inbox", "add_event_body", {**event, "body": "{}"})
    yield Step("inbox", "next_event", {"instance_id": LINE, "chat": _CHAT})
    yield Step("inbox", "finish_event", event)
    yield Step("inbox", "pending_chats", {"instance_id": LINE})
    yield Step(
        "history",
        "add_received",
        {
            "instance_id": LINE,
            "message_id": "R1",
            "at": datetime.now(UTC),
            "from_me": False,
            "phone": _CHAT,
            "sender": _CHAT,
            "sender_name": "Ana",
            "type": "text",
            "payload": "{}",
            "callback_id": uuid.uuid4(),
            "callback": "{}",
        },
    )
    receipts: dict[str, list[Any]] = {
        "ordinals": [0] * count,
        "instance_ids": [LINE] * count,
        "provider_ids": of.receipts_of,
        "statuses": ["read"] * count,
        "ats": [datetime.now(UTC)] * count,
        "participants": [None] * count,
    }
    one = {name: values[:1] for name, values in receipts.items()}
    yield Step("history", "acknowledge", one, label="one")
    yield Step("history", "acknowledge", receipts, label="10 of all months")
    named = {"instance_id": LINE, "message_ids": of.receipts_of, "ids": of.receipts_of}
    yield Step("history", "find_known", named, once=False, label="10")
    yield Step("history", "find_referred", named, label="10")
    yield Step("history", "find_unknown_ids", named, once=False, label="10")
