"""The port: what a provider must do so that the gateway can send and receive through it.

    Provider   one folder in `gateway.providers`: says what it can do, and starts its engine
    Engine     the provider at work in this process, from start to stop
    Session    the connection of one instance: sends messages, executes operations, reports events

The gateway opens a session for each instance whose lease this node owns. It closes the session
before the lease moves to another node, so an instance never has two sessions that may act.
`docs/writing-a-provider.md` goes through it step by step.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from gateway.clock import Clock
from gateway.contract.extensions.proxies import Proxy
from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile, Preview
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.contract.wire import Wire
from gateway.errors import (
    DatabaseUnavailable,
    NotConnected,
    NotSupported,
    Refused,
    Restricted,
    TryAgainLater,
    Unconfirmed,
)
from gateway.observability.metrics import Metrics
from gateway.sessions.events import (
    Acknowledgement,
    CallChanged,
    ConnectionChanged,
    Event,
    HistoryChat,
    HistoryReceived,
    IdentityLearned,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    PresenceChanged,
    ReceivedFile,
)

__all__ = [
    "Acknowledgement",
    "Attempt",
    "Authorise",
    "CallChanged",
    "ConnectionChanged",
    "Engine",
    "Event",
    "HistoryChat",
    "HistoryReceived",
    "IdentityLearned",
    "Ingress",
    "MessageAcknowledged",
    "MessageReceived",
    "Notified",
    "PresenceChanged",
    "Provider",
    "ProviderContext",
    "ProviderStore",
    "Receipt",
    "ReceivedFile",
    "ReportedEvent",
    "Result",
    "SendFailure",
    "Session",
    "SessionSpec",
]

Result = TypeVar("Result")

SendFailure = NotConnected | Restricted | TryAgainLater | Refused | Unconfirmed
"""What a session may raise from `send`, and what the queue then does:

- NotConnected: nothing was sent. The message waits, and no attempt is counted.
- Restricted: WhatsApp limits the number. The queue is held until the time that the error names,
  and no attempt is counted.
- TryAgainLater: nothing was sent, and a later attempt may succeed. The attempt is counted.
- Refused: WhatsApp will never accept this message. It fails.
- Unconfirmed: it may have been sent. It fails, unless the provider `can_repeat_send`.

A CallerError counts as Refused, any other exception as Unconfirmed.
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to send a message.

    Attributes:
        message_id: the gateway's id of the message, which callers see.
        epoch: of the lease under which the message was claimed; a session of another epoch must
            raise NotConnected.
        time_limit_seconds: after this time the gateway cancels `send`. The session must keep the
            limit too, because canceling does not recall what its library is already sending.
        referred: the messages that this one quotes, edits, deletes or reacts to, by the gateway's
            id.
        media: the files, by the text that names them in the message.
        preview: of the link in the text.
    """

    message_id: str
    epoch: int
    time_limit_seconds: float
    referred: Mapping[str, KnownMessage] = field(default_factory=dict)
    media: Mapping[str, MediaFile] = field(default_factory=dict)
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """WhatsApp accepted the message under `provider_message_id`.

    `provider_data` is what the provider needs to quote or forward the message later. The gateway
    stores it and does not read it.
    """

    provider_message_id: str
    provider_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    """An event as a session reports it: again and again until it is acknowledged.

    A repeated report has the same `event_id`, which no other event of the instance may have. The
    gateway calls `acknowledge` once the event is stored, and may call it twice.
    """

    event: Event
    event_id: str
    acknowledge: Callable[[], Awaitable[None]]


class Session(Protocol):
    """The connection of one instance to WhatsApp, from opening to closing.

    The engine opens it at once, connected or not, and reports its state as ConnectionChanged.
    """

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        """Sends one message, and returns when WhatsApp has accepted it.

        The gateway sends one message of an instance at a time. If the call is canceled, the
        message may still be sent.

        Raises:
            SendFailure: it was not accepted; each error says what is known.
        """
        ...

    async def execute(self, operation: Operation[Result]) -> Result:
        """Executes an operation now, and returns its result.

        Raises:
            NotSupported: the provider cannot execute it.
            NotConnected: it needs WhatsApp, and the session is not connected.
            CallerError: WhatsApp or the provider refuses it; the text is for the caller.
        """
        ...

    def events(self) -> AsyncIterator[ReportedEvent]:
        """Yields events in the order in which they happened, until the session is closed.

        The first event is a ConnectionChanged with the state now. A fault from which the engine
        recovers by itself is reported as a ConnectionChanged. After any other fault the iterator
        ends or raises, and the gateway opens the session again.
        """
        ...


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What a session is opened with.

    Attributes:
        instance_id: whose session it is.
        epoch: of the lease.
        settings: the instance's own settings of this provider.
        may_act_until: returns the time on this machine's monotonic clock at which the lease
            lapses. Each renewal moves it. Past that time the engine must refuse to send, and must
            also cut the connection, because a library may answer WhatsApp by itself.
        proxy: if the provider uses proxies, every connection to WhatsApp must go through it. For
            another proxy the session is opened again.
    """

    instance_id: str
    epoch: int
    settings: Mapping[str, Any]
    may_act_until: Callable[[], float]
    proxy: Proxy | None = None


Authorise = Callable[[Mapping[str, str], str], Awaitable[None]]
"""Gets the headers of a request and an instance id. Raises a CallerError unless they authorise the
request to control that instance."""

_Message = MutableMapping[str, Any]
Ingress = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]],
    Awaitable[None],
]
"""An ASGI application."""


class Engine(Protocol):
    """A provider at work in this process."""

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Runs the work that all its sessions share, until *stopping* is set."""
        ...

    def open_session(self, spec: SessionSpec) -> AbstractAsyncContextManager[Session]:
        """Opens the session of an instance; leaving the block closes it.

        An instance without a linked phone has a session too, which shows the QR code. The gateway
        closes the session of an instance before it opens another one for the same instance.
        """
        ...

    def ingress(self, authorise: Authorise) -> Ingress:
        """Returns the ASGI application that serves HTTP below `/<provider>`.

        A simulator is controlled through it, and a hosted API posts its callbacks to it.
        """
        ...


class ProviderStore(Protocol):
    """Storage of a provider: named queries of `sql/queries/<provider>.sql`, in its own schema.

    Every method may raise DatabaseUnavailable.
    """

    async def fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """Runs one query and returns its rows."""
        ...

    async def signal(self, instance_id: str) -> None:
        """Wakes the engine that has the session of this instance, on whichever node it runs."""
        ...

    def signals(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Subscribes to `signal`, and yields the ids of instances."""
        ...


async def no_pictures(_source: str) -> bytes:
    """Stands for `picture` where no pictures can be read."""
    raise NotSupported


async def no_database() -> str:
    """Stands for `database_url` where there is no database."""
    raise DatabaseUnavailable("There is no database")


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What an engine is started with.

    Attributes:
        environment: the environment variables of the gateway.
        data_dir: the folder for files of this node.
        clock: time.
        store: storage in Postgres.
        database_url: returns the URL of the database as it can be reached now, for a library with
            a driver and tables of its own; raises DatabaseUnavailable.
        picture: returns the JPEG for a URL, a `data:` URI or base64 of a caller; raises what
            `Session.execute` may raise.
        metrics: the metrics of this node.
        inherited: open files that each child process which speaks to WhatsApp must inherit. They
            prove to a later process of this node that the child still runs.
    """

    environment: Mapping[str, str]
    data_dir: Path
    clock: Clock
    store: ProviderStore
    database_url: Callable[[], Awaitable[str]] = no_database
    picture: Callable[[str], Awaitable[bytes]] = no_pictures
    metrics: Metrics = field(default_factory=Metrics)
    inherited: tuple[int, ...] = ()


@runtime_checkable
class Provider(Protocol):
    """One way to reach WhatsApp. It starts nothing by itself and has no state."""

    @property
    def name(self) -> str:
        """The name of its folder, by which instances and settings name it."""
        ...

    @property
    def can_repeat_send(self) -> bool:
        """Whether sending a message again under the same id is safe: the person sees it once.

        The gateway then repeats an attempt whose outcome is unconfirmed.
        """
        ...

    @property
    def uses_proxy(self) -> bool:
        """Whether its sessions connect through the proxy of their SessionSpec."""
        ...

    @property
    def settings(self) -> type[BaseModel]:
        """The model of its `GATEWAY_<NAME>_...` variables; each field has a description."""
        ...

    @property
    def hosts(self) -> Sequence[tuple[str, int]]:
        """The TLS servers that its sessions need, by name and port; `gateway doctor` tries them."""
        ...

    def supports(self, command: type[Wire]) -> bool:
        """Whether it has a handler for this class of message or operation."""
        ...

    async def try_store(self, provider_context: ProviderContext) -> str | None:
        """Opens and closes the stores that a session opens before it connects.

        Returns a sentence that says what was opened; None if the provider has nothing to open.

        Raises:
            StartRefused: a store does not open; the text says why.
        """
        ...

    def start(self, provider_context: ProviderContext) -> Engine:
        """Makes the engine; the gateway then calls its `run_until`."""
        ...
