"""The session half of the port: what a provider's session must do for one instance.

`gateway.sessions.provider` has the other half, and exports everything in this module.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from gateway.contract.extensions.proxies import Proxy
from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile, Preview
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.errors import NotConnected, Refused, Restricted, TryAgainLater, Unconfirmed
from gateway.sessions.events import Event

Result = TypeVar("Result")

SendFailure = NotConnected | Restricted | TryAgainLater | Refused | Unconfirmed
"""What a session may raise from `send`, and what the queue then does:

- NotConnected: nothing was sent. The message waits, and no attempt is counted.
- Restricted: WhatsApp limits the number. What the error has in its reach (the chat, first contacts
  or the queue) waits until the time that it names, and no attempt is counted.
- TryAgainLater: nothing was sent, and a later attempt may succeed. The chat waits, or the queue if
  the error says so. The attempt is counted unless the error says no.
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
            id. One that `is_assumed` has an id, a chat and an author; nothing else is known of it.
        media: the files, by the text that names them in the message.
        preview: of the link in the text.
        numbers: by which number WhatsApp knows the people that the message names, by the number
            that the caller wrote. The message itself has its recipient and mentions as WhatsApp
            knows them already.
    """

    message_id: str
    epoch: int
    time_limit_seconds: float
    referred: Mapping[str, KnownMessage] = field(default_factory=dict)
    media: Mapping[str, MediaFile] = field(default_factory=dict)
    preview: Preview | None = None
    numbers: Mapping[str, str] = field(default_factory=dict)


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

    async def check_health(self) -> None:
        """Asks WhatsApp, or what stands for it, for an answer; returns when it came.

        The gateway calls it while the session reports CONNECTED, and limits and measures the time.

        Raises:
            Refused: WhatsApp answered that it refuses this session.
            NotConnected: no answer came, or the session is not connected.
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
