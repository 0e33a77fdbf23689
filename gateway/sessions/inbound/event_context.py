"""What the functions that process events work with."""

from dataclasses import dataclass, field

from psycopg import AsyncConnection

from gateway.instances.store import Instance
from gateway.sessions.inbound.pictures import SessionPictures
from gateway.webhooks.outbox import Outbox


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """The URL of a stored file of a message, or the error that says why there is none."""

    url: str | None = None
    mime_type: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class EventContext:
    """One event of one instance, in one transaction.

    Attributes:
        connection: has the transaction.
        outbox: enqueues callbacks in the transaction.
        instance: whose event it is.
        epoch: of the lease; a lower one than the lease has now changes no connection state.
        own_phone: of the instance; None while no phone is linked.
        pictures: finds links to pictures of people and groups.
        files: of the message, by the field where the URL goes.
    """

    connection: AsyncConnection
    outbox: Outbox
    instance: Instance
    epoch: int
    own_phone: str | None
    pictures: SessionPictures
    files: dict[str, FetchedFile] = field(default_factory=dict)
