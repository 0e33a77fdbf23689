"""The port: what a provider must do so that the gateway can send and receive through it.

    Provider   one folder in `gateway.providers`: says what it can do, and starts its engine
    Engine     the provider at work in this process, from start to stop
    Session    the connection of one instance: sends messages, executes operations, reports events
               (`gateway.sessions.session`, exported here)

The gateway opens a session for each instance whose lease this node owns. It closes the session
before the lease moves to another node, so an instance never has two sessions that may act.
`docs/writing-a-provider.md` goes through it step by step.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from gateway.clock import Clock
from gateway.contract.wire import Wire
from gateway.errors import NotSupported
from gateway.observability.metrics import Metrics
from gateway.sessions.events import (
    Acknowledgement,
    CallChanged,
    ChatModified,
    ConnectionChanged,
    Event,
    HistoryChat,
    HistoryReceived,
    IdentityLearned,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    PictureChanged,
    PresenceChanged,
    ReceivedFile,
)
from gateway.sessions.library_pool import LibraryPoolOf, no_library_pool
from gateway.sessions.session import (
    Attempt,
    Receipt,
    ReportedEvent,
    Result,
    SendFailure,
    Session,
    SessionSpec,
)

__all__ = [
    "Acknowledgement",
    "Attempt",
    "Authorise",
    "CallChanged",
    "ChatModified",
    "ConnectionChanged",
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
    "PictureChanged",
    "PresenceChanged",
    "Provider",
    "ProviderContext",
    "ProviderQueries",
    "ProviderStore",
    "Receipt",
    "ReceivedFile",
    "ReportedEvent",
    "Result",
    "SendFailure",
    "Session",
    "SessionSpec",
    "Simulation",
]

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


class ProviderQueries(Protocol):
    """The named queries of one provider, `sql/queries/<provider>.sql`, on its own schema.

    Every method may raise DatabaseUnavailable.
    """

    async def fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """Runs one query and returns its rows."""
        ...


class ProviderStore(ProviderQueries, Protocol):
    """The queries of a provider, and signals between its engines."""

    @property
    def seal_prefix(self) -> str | None:
        """What a text begins with that is sealed under the present key; None without a seal."""
        ...

    async def signal(self, instance_id: str) -> None:
        """Wakes the engine that has the session of this instance, on whichever node it runs."""
        ...

    def signals(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Subscribes to `signal`, and yields the ids of instances."""
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
    `GET /<provider>/<instance id>/<sent_path>` lists the messages that arrived. `scan` links the
    simulated phone of an instance as if it scanned the QR code, from any node.
    """

    linked_settings: Mapping[str, Any]
    sent_path: str
    scan: Callable[["ProviderStore", str], Awaitable[None]]


async def no_pictures(_instance_id: str, _source: str) -> bytes:
    """Stands for `picture` where no pictures can be read."""
    raise NotSupported


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What an engine is started with.

    Attributes:
        environment: the environment variables of the gateway.
        data_dir: the folder for files of this node.
        clock: time.
        store: storage in Postgres.
        library_pool: builds connections to Postgres for a library with a driver and tables of its
            own, in the schema named after the provider. The engine runs it.
        picture: returns the JPEG for the id of an instance, and a URL, a `data:` URI or base64 of
            its caller; raises what `Session.execute` may raise.
        metrics: the metrics of this node.
        inherited: open files that each child process which speaks to WhatsApp must inherit. They
            prove to a later process of this node that the child still runs.
    """

    environment: Mapping[str, str]
    data_dir: Path
    clock: Clock
    store: ProviderStore
    library_pool: LibraryPoolOf = no_library_pool
    picture: Callable[[str, str], Awaitable[bytes]] = no_pictures
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
    def is_opt_in(self) -> bool:
        """Whether an instance gets it only if its creator or GATEWAY_PROVIDER names it."""
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
        """The TLS servers that its sessions need, by name and port; `gateway doctor` tries them."""
        ...

    @property
    def personal_data(self) -> Sequence[PersonalData]:
        """What it stores of the people who write and are written to, and for how long."""
        ...

    def supports(self, command: type[Wire]) -> bool:
        """Whether it has a handler for this class of message or operation."""
        ...

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
        """Opens and closes the stores that a session opens before it connects.

        Returns a sentence that says what was opened; None if the provider has nothing to open.

        Raises:
            StartRefused: a store does not open; the text says why.
        """
        ...

    async def install(self, environment: Mapping[str, str]) -> str | None:
        """Installs what a session needs beside packages of Python, in the version that it needs.

        `gateway providers install` calls it; it does nothing if all is there.

        Returns:
            A sentence that says what is installed, and where; None if nothing is needed.

        Raises:
            StartRefused: it cannot be installed; the text says why.
        """
        ...

    def start(self, provider_context: ProviderContext) -> Engine:
        """Makes the engine; the gateway then calls its `run_until`."""
        ...
