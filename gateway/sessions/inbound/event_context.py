"""What an event is settled with."""

from dataclasses import dataclass, field

from psycopg import AsyncConnection

from gateway.instances.store import Instance
from gateway.webhooks.outbox import Outbox


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """Where a file of a message can be had, or why it cannot."""

    url: str | None = None
    mime_type: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class EventContext:
    """The transaction, whose event it is, and the files it came with, by their field."""

    connection: AsyncConnection
    outbox: Outbox
    instance: Instance
    epoch: int
    own_phone: str | None
    files: dict[str, FetchedFile] = field(default_factory=dict)
