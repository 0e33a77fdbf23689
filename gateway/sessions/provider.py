"""The port every way of reaching WhatsApp fits: a session can send, be asked, and tell.

A folder under `gateway.providers` exposes one `provider`. Starting it gives an engine, which
lives as long as the process and opens a session for each instance whose lease we hold.
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
    "Delivery",
    "Engine",
    "ErasedPerson",
    "Event",
    "HistoryChat",
    "HistoryReceived",
    "IdentityLearned",
    "Ingress",
    "MessageAcknowledged",
    "MessageReceived",
    "Notified",
    "PersonalData",
    "PresenceChanged",
    "Provider",
    "ProviderContext",
    "ProviderQueries",
    "ProviderStore",
    "Receipt",
    "ReceivedFile",
    "Result",
    "SendFailure",
    "Session",
    "SessionSpec",
    "Simulation",
]

Result = TypeVar("Result")

SendFailure = NotConnected | Restricted | TryAgainLater | Refused | Unconfirmed
"""All a session may raise from `send`. NotConnected promises that nothing left; a CallerError
counts as Refused, any other exception as Unconfirmed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at sending: our id, and the right to send.

    `referred` holds the messages spoken of, by our id; `media` the files, by the text that names
    them in the message. The engine keeps the time limit too, because a call already made cannot
    be recalled.
    """

    message_id: str
    epoch: int
    time_limit_seconds: float
    referred: Mapping[str, KnownMessage] = field(default_factory=dict)
    media: Mapping[str, MediaFile] = field(default_factory=dict)
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """WhatsApp took the message, under this id.

    `provider_data` is what the provider needs to quote or forward it later; only it can read it.
    """

    provider_message_id: str
    provider_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event, told again until it is acknowledged.

    `event_id` is the same each time, and no other event of the instance ever has it. To
    acknowledge twice does no harm.
    """

    event: Event
    event_id: str
    acknowledge: Callable[[], Awaitable[None]]


class Session(Protocol):
    """The live connection of one instance."""

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        """Hands one message to WhatsApp; raises a SendFailure.

        To cancel this does not recall the message.
        """
        ...

    async def execute(self, operation: Operation[Result]) -> Result:
        """Answers now; raises NotSupported, NotConnected or a CallerError."""
        ...

    def events(self) -> AsyncIterator[Delivery]:
        """What happens, in order, until the session is closed.

        A fault the engine can mend by itself shows as a ConnectionChanged; one that it cannot
        mend ends the iterator or raises, and the session is opened anew.
        """
        ...


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What a session is opened with: whose it is, and until when it may act.

    `may_act_until` is on this machine's monotonic clock, and moves: an engine must not only
    refuse to send past it but cut its connection, since some answer WhatsApp by themselves.
    `proxy` is the only way to WhatsApp for an engine that uses proxies; a new one comes with a
    new seat.
    """

    instance_id: str
    epoch: int
    settings: Mapping[str, Any]
    may_act_until: Callable[[], float]
    proxy: Proxy | None = None


Authorise = Callable[[Mapping[str, str], str], Awaitable[None]]
"""Raises a CallerError unless these headers may steer the instance of that id."""

_Message = MutableMapping[str, Any]
Ingress = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]],
    Awaitable[None],
]
"""An ASGI application."""


class Engine(Protocol):
    """A provider at work in this process; opens sessions of unpaired instances too."""

    async def run_until(self, stopping: asyncio.Event) -> None: ...

    def open_session(self, spec: SessionSpec) -> AbstractAsyncContextManager[Session]: ...

    def ingress(self, authorise: Authorise) -> Ingress:
        """Answers HTTP below `/<provider>`: control of a simulator, callbacks of a hosted API."""
        ...


class ProviderQueries(Protocol):
    """The named queries of one provider, `sql/queries/<provider>.sql`, on its own schema."""

    async def fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """Runs the query *name* and returns its rows, each by column."""
        ...


class ProviderStore(ProviderQueries, Protocol):
    """The queries of a provider, and signals between its engines."""

    async def signal(self, instance_id: str) -> None:
        """Wakes the engine that holds this instance, on whichever node it runs."""
        ...

    def signals(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Ids of instances that were signalled to this provider."""
        ...


@dataclass(frozen=True, slots=True)
class ErasedPerson:
    """A person whose data is erased: all their addresses, and the messages from and to them.

    An address is a phone number or a lid (`...@lid`); `provider_message_ids` are WhatsApp's ids.
    """

    addresses: Sequence[str]
    provider_message_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class PersonalData:
    """One kind of personal data that a provider stores, for the operator's privacy notice."""

    what: str
    until: str


@dataclass(frozen=True, slots=True)
class Simulation:
    """What development needs of a provider that simulates WhatsApp.

    `linked_settings` are the provider settings of an instance whose phone is linked from the start.
    `GET /<provider>/<instance id>/<sent_path>` lists the messages that arrived.
    """

    linked_settings: Mapping[str, Any]
    sent_path: str


async def no_pictures(_source: str) -> bytes:
    raise NotSupported


async def no_database() -> str:
    raise DatabaseUnavailable("There is no database")


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What an engine is started with.

    `database_url` gives the URL for a library with tables and a driver of its own, as the server
    is reached now; it raises DatabaseUnavailable. `picture` gives the JPEG that a caller named by
    a URL, a `data:` URI or base64; it raises what `ask` may. Every child process that speaks to
    WhatsApp is given the open files of `inherited`: they prove that it lives.
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
    """One way of reaching WhatsApp."""

    @property
    def name(self) -> str: ...

    @property
    def can_repeat_send(self) -> bool:
        """Whether a blind repeat under the same id is safe: people see the message once."""
        ...

    @property
    def uses_proxy(self) -> bool:
        """Whether its sessions connect through the proxy of their seat."""
        ...

    @property
    def settings(self) -> type[BaseModel]:
        """What `GATEWAY_<NAME>_...` variables there are, each with a description."""
        ...

    @property
    def instance_settings(self) -> type[BaseModel]:
        """The settings that an instance gives it, as `SessionSpec.settings` has them.

        A field of type SecretStr or SecretBytes is encrypted in the database.
        """
        ...

    @property
    def simulation(self) -> Simulation | None:
        """Set by a provider that simulates WhatsApp: it is offered in development only."""
        ...

    @property
    def hosts(self) -> Sequence[tuple[str, int]]:
        """The servers its sessions cannot do without, by name and port; they speak TLS."""
        ...

    @property
    def personal_data(self) -> Sequence[PersonalData]:
        """What it stores of the people who write and are written to, and for how long."""
        ...

    def supports(self, command: type[Wire]) -> bool: ...

    async def delete_instance(
        self, queries: ProviderQueries, instance_id: str, *, max_rows: int
    ) -> int:
        """Deletes what it stores of an instance, at most *max_rows* rows of each table.

        The gateway has deleted the instance before, and repeats the call until it returns 0.
        A session of the instance may still run on another node: the gateway calls again after
        that session must have ended.

        Returns:
            How many rows it deleted.
        """
        ...

    async def erase_person(
        self, queries: ProviderQueries, instance_id: str, person: ErasedPerson
    ) -> int:
        """Deletes what it stores of a person, in the caller's transaction; returns the row count.

        What encryption needs may stay, if `personal_data` says so.
        """
        ...

    async def try_store(self, provider_context: ProviderContext) -> str | None:
        """Opens once, and closes, what a session opens before it connects.

        Returns what opened, as a sentence; None for a provider that has nothing to open.

        Raises:
            StartRefused: it does not open; the message says why.
        """
        ...

    def start(self, provider_context: ProviderContext) -> Engine: ...
