"""What handlers and translation need of the session of a provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.sessions.provider import Attempt, Receipt, SessionSpec
from gateway.whatsapp_web.calls import Calls
from gateway.whatsapp_web.error_output import masked

Json = Any
"""A value that JSON can express."""

Fields = dict[str, Any]
"""A WhatsApp message in the JSON form of protobuf."""

Body = Mapping[str, Any]
"""The body of an event."""


class VerbFailed(Exception):
    """The library or WhatsApp refused a verb; `failure` names the exception in the child."""

    def __init__(self, failure: str, text: str) -> None:
        self.failure, self.text = failure, masked(text)
        super().__init__(self.text or failure)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the library reported it, until the gateway has processed it."""

    id: int
    at: datetime
    name: str
    body: dict[str, Any]


class LinkSupervisor(Protocol):
    """Opens the client of the session, and links its phone."""

    @property
    def phone(self) -> str | None: ...

    async def code(self) -> str:
        """Returns the text of the QR code; raises SessionUnavailable if there is none."""
        ...

    async def phone_code(self, phone: str) -> str:
        """Returns the code that the owner of *phone* types; raises SessionUnavailable."""
        ...

    async def log_out(self) -> None: ...

    def retry_now(self) -> bool: ...


class Library(Protocol):
    """The part of a session that the translation of events needs."""

    @property
    def own_phone(self) -> str | None: ...

    @property
    def calls(self) -> Calls: ...

    async def call(self, verb: str, **arguments: Json) -> Json:
        """Runs a verb on the connected client; raises NotConnected or VerbFailed."""
        ...

    async def message_ids(self, provider_ids: Sequence[str]) -> list[str]:
        """Returns the gateway's id of each message that it sent, WhatsApp's id of each other."""
        ...

    async def add_poll(self, provider_id: str, options: Sequence[str]) -> None: ...

    async def poll_options(self, provider_id: str) -> list[str]: ...


class WebSession(Library, Protocol):
    """The session of one instance, as handlers use it."""

    @property
    def spec(self) -> SessionSpec: ...

    @property
    def supervisor(self) -> LinkSupervisor: ...

    @property
    def device_name(self) -> str: ...

    async def picture(self, source: str) -> str:
        """Returns the picture that a caller named, as base64 of a JPEG; raises a CallerError."""
        ...


class SendContext(Protocol):
    """The context of a handler that sends one message."""

    @property
    def session(self) -> WebSession: ...

    @property
    def attempt(self) -> Attempt: ...

    async def deliver(self, chat: str, message: Fields) -> Receipt: ...
