"""The port every way of reaching WhatsApp fits: a session can send, be asked, and tell.

A folder under `gateway.providers` exposes one `provider`. Starting it gives an engine, which
lives as long as the process and opens a session for each instance whose lease we hold.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from gateway.clock import Clock
from gateway.contract.operation import Operation
from gateway.contract.send import Send
from gateway.contract.wire import Wire
from gateway.errors import NotConnected, Refused, Restricted, TryAgainLater, Unconfirmed
from gateway.sessions.connection import ConnectionState

Result = TypeVar("Result")

SendFailure = NotConnected | Restricted | TryAgainLater | Refused | Unconfirmed
"""All a session may raise from `send`; any other exception counts as Unconfirmed."""


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """An earlier message, sent or received, as replies, edits and reactions need it."""

    message_id: str
    provider_message_id: str
    chat: str
    sender: str | None
    from_me: bool
    type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at sending: our id, the right to send, and the messages spoken of (by our id)."""

    message_id: str
    epoch: int
    time_limit_seconds: float
    referred: Mapping[str, KnownMessage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """WhatsApp took the message, under this id."""

    provider_message_id: str


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The session went up or down."""

    state: ConnectionState
    at: datetime
    phone: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """Somebody wrote to the number, or its owner wrote from the phone itself.

    `content` is the part of a ReceivedCallback that names the kind, such as
    `{"text": {"message": "hi"}}`; `kind` is its key.
    """

    provider_message_id: str
    chat: str
    sender: str | None
    sender_name: str | None
    from_me: bool
    at: datetime
    kind: str
    content: Mapping[str, Any]
    quoted_provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class MessageAcknowledged:
    """Messages reached a further state: `sent`, `delivered`, `read` or `played`."""

    provider_message_ids: Sequence[str]
    chat: str
    status: str
    at: datetime


Event = ConnectionChanged | MessageReceived | MessageAcknowledged
"""WhatsApp's facts; what callers are told of them is decided above the port."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event, told again until it is acknowledged; `event_id` is the same each time."""

    event: Event
    event_id: str
    acknowledge: Callable[[], Awaitable[None]]


class Session(Protocol):
    """The live connection of one instance."""

    async def send(self, message: Send, attempt: Attempt) -> Receipt:
        """Hands one message to WhatsApp; raises a SendFailure."""
        ...

    async def ask(self, operation: Operation[Result]) -> Result:
        """Answers now; raises NotSupported, NotConnected or a CallerError."""
        ...

    def events(self) -> AsyncIterator[Delivery]:
        """What happens, in order, until the session is closed."""
        ...


@dataclass(frozen=True, slots=True)
class Seat:
    """What a session is opened with: whose it is, and until when it may act.

    `may_act_until` is on the monotonic clock; an engine must not call WhatsApp past it.
    """

    instance_id: str
    epoch: int
    settings: Mapping[str, Any]
    may_act_until: Callable[[], float]


class Engine(Protocol):
    """A provider at work in this process."""

    async def run_until(self, stopping: asyncio.Event) -> None: ...

    def open_session(self, seat: Seat) -> AbstractAsyncContextManager[Session]: ...


class ProviderStore(Protocol):
    """What a provider keeps: its own named queries, in its own schema."""

    async def fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]: ...

    async def signal(self, instance_id: str) -> None:
        """Wakes the engine that holds this instance, on whichever node it runs."""
        ...

    def signals(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Ids of instances that were signalled to this provider."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an engine is started with."""

    environment: Mapping[str, str]
    data_dir: Path
    clock: Clock
    store: ProviderStore


@runtime_checkable
class Provider(Protocol):
    """One way of reaching WhatsApp."""

    @property
    def name(self) -> str: ...

    @property
    def can_repeat_send(self) -> bool:
        """WhatsApp shows a message once however often it is sent under one id."""
        ...

    def supports(self, command: type[Wire]) -> bool: ...

    def start(self, surroundings: Surroundings) -> Engine: ...
