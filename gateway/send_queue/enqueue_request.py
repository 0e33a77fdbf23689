"""The requests of one flush, and what Postgres answers to each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.contract.send import OutgoingMessage, Queued
from gateway.errors import IdempotencyKeyReused, InstanceNotConnected, QueueFull
from gateway.instances.store import Instance


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The caller's key for one request, and a digest of the request's body."""

    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Offset:
    """Where the consumer of a topic goes on after an accepted message."""

    topic: str
    partition: int
    next_offset: int


@dataclass(slots=True)
class EnqueueRequest:
    """A message to accept; its caller waits until `give_up_at`, on the monotonic clock."""

    instance: Instance
    message: OutgoingMessage
    payload: str
    zaap_id: str
    message_id: str
    due_at: datetime | None
    idempotency: IdempotencyKey | None
    offset: Offset | None
    give_up_at: float
    flushes: int = 0


@dataclass(frozen=True, slots=True)
class AdmissionResult:
    """The row that the statement `enqueue` returns for one message."""

    ordinal: int
    admission: str
    connected: bool
    queue_limit: int
    zaap_id: str
    message_id: str
    wakes_worker: bool
    holder_node_id: str | None


def first_of_each_key(requests: Sequence[EnqueueRequest]) -> dict[int, EnqueueRequest]:
    """Returns requests by position, one for each key; a repeated key waits for the next flush."""
    keys: set[tuple[str, str]] = set()
    chosen = {}
    for n, request in enumerate(requests):
        if request.idempotency:
            key = (request.instance.id, request.idempotency.key)
            if key in keys:
                continue
            keys.add(key)
        chosen[n] = request
    return chosen


def answer_of(row: AdmissionResult, request: EnqueueRequest) -> Queued | Exception:
    match row.admission:
        case "accepted":
            return queued_from(request, request.due_at)
        case "replayed":
            return queued_from(row, request.due_at)
        case "key_reused":
            return IdempotencyKeyReused()
        case "not_connected":
            return InstanceNotConnected()
        case "queue_full":
            return QueueFull(row.queue_limit, connected=row.connected)
        case _:
            raise AssertionError(f"unknown admission {row.admission}")


def queued_from(ids: EnqueueRequest | AdmissionResult, due_at: datetime | None) -> Queued:
    return Queued(
        zaap_id=ids.zaap_id,
        message_id=ids.message_id,
        id=ids.message_id,
        scheduled_for=due_at,
    )
