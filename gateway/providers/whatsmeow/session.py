"""The session of one instance, whose child process may end at any time."""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import orjson

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.errors import (
    CallerError,
    GatewayError,
    InvalidRequest,
    NotConnected,
    SessionUnavailable,
    Unconfirmed,
)
from gateway.providers.whatsmeow.child.frames import Json, LibraryEvent
from gateway.providers.whatsmeow.client_context import ClientContext
from gateway.providers.whatsmeow.failures import failure_of, sentence_of
from gateway.providers.whatsmeow.session_supervisor import SessionSupervisor
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    Attempt,
    ConnectionChanged,
    IdentityLearned,
    Receipt,
    ReportedEvent,
    SessionSpec,
)
from gateway.whatsapp_web.calls import Calls
from gateway.whatsapp_web.inbound import STORED_EVENTS
from gateway.whatsapp_web.jids import jid_of
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import Fields, SendContext, VerbFailed, WebSession
from gateway.whatsapp_web.stored_events import acknowledge_nothing, reports_of

Result = TypeVar("Result")


@dataclass(slots=True)
class _InFlight:
    """A message that the library is sending; `provider_id` is known just before it leaves."""

    message_id: str
    provider_id: str | None = None
    received: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a receipt, which proves that the message arrived."""


@dataclass(frozen=True, slots=True)
class _Sending:
    """The context of a handler that sends one message."""

    session: "WhatsmeowSession"
    attempt: Attempt

    async def deliver(self, chat: str, message: Fields) -> Receipt:
        return await self.session.deliver(self.attempt, jid_of(chat), message)


class WhatsmeowSession:
    """Stores every event, acknowledges it, and reads it back to report it to the gateway."""

    def __init__(
        self,
        spec: SessionSpec,
        context: ClientContext,
        *,
        sends: Handlers[SendContext],
        operations: Handlers[WebSession],
    ) -> None:
        self.spec, self._context = spec, context
        self._sends, self._operations = sends, operations
        self._sending = asyncio.Lock()
        self._in_flight: _InFlight | None = None
        self._wakeup = asyncio.Event()
        self._closed = False
        self.calls = Calls()
        self._new_state: ConnectionChanged | None = ConnectionChanged(
            ConnectionState.CONNECTING, context.clock.now()
        )
        self._lid: str | None = None
        self._new_identity: IdentityLearned | None = None
        self.supervisor = SessionSupervisor(
            spec, context, on_state=self._on_state, on_event=self._on_event, on_lid=self._on_lid
        )

    @property
    def own_phone(self) -> str | None:
        return self.supervisor.phone

    @property
    def device_name(self) -> str:
        return self._context.settings.device_name

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        self._require_right_to_act()
        if attempt.epoch < self.spec.epoch:
            raise NotConnected("The message was claimed under an older lease.")
        try:
            async with asyncio.timeout(attempt.time_limit_seconds), self._sending:
                self._in_flight = _InFlight(attempt.message_id)
                receipt: Receipt = await self._sends.handle(_Sending(self, attempt), message)
                return receipt
        except VerbFailed as error:  # of a verb that came before the message, such as an upload
            raise self._failure_of(error, may_have_left=False) from error
        except TimeoutError:
            if self._in_flight and self._in_flight.provider_id is None:
                raise NotConnected("The session did not take the message in time.") from None
            raise Unconfirmed("WhatsApp's answer was lost.") from None

    async def execute(self, operation: Operation[Result]) -> Result:
        self._require_right_to_act()
        try:
            answer: Result = await self._operations.handle(self, operation)
        except VerbFailed as error:
            raise _caller_error(error) from error
        except ChildGone as error:
            raise SessionUnavailable(sentence_of(error)) from None
        return answer

    async def check_health(self) -> None:
        """Sends a request that WhatsApp's server answers."""
        self._require_right_to_act()
        try:
            await self.supervisor.execute("probe")
        except VerbFailed as error:
            raise NotConnected(f"WhatsApp did not answer: {error.text or error.failure}") from error

    async def events(self) -> AsyncIterator[ReportedEvent]:
        reported_up_to = 0
        while not self._closed:
            self._wakeup.clear()
            if unstored := self._next_state() or self._next_identity():
                yield unstored
                continue
            stored = await self._context.store.events(self.spec.instance_id, after=reported_up_to)
            for event in stored:
                if change := self._next_state():
                    yield change
                reported_up_to = event.id
                for report in await reports_of(event, self, self._context.store):
                    yield report
            if not stored:
                await self._wakeup.wait()

    async def call(self, verb: str, **arguments: Json) -> Json:
        """Runs a verb on the connected client; raises NotConnected or VerbFailed."""
        return await self.supervisor.execute(verb, **arguments)

    async def picture(self, source: str) -> str:
        """Returns the picture that a caller named, as base64 of a JPEG; raises a CallerError."""
        return b64encode(await self._context.picture(self.spec.instance_id, source)).decode()

    async def deliver(self, attempt: Attempt, jid: str, message: Fields) -> Receipt:
        """Sends a message under an id that the library chooses.

        When the answer is lost after the id was known, it waits for a receipt, until the caller's
        time limit.
        """
        sending = self._in_flight = _InFlight(attempt.message_id)
        await self.supervisor.reconnected.wait()
        if self.supervisor.state is not ConnectionState.CONNECTED:
            raise NotConnected(self.supervisor.state.sentence)
        self._require_right_to_act()
        try:
            answer = await self.supervisor.execute_raw("send", chat=jid, message=message)
            sending.provider_id = answer["id"]
        except ChildGone:
            if sending.provider_id is None:
                raise NotConnected("The session's process ended before it was sent.") from None
            # The message may have arrived: a receipt would prove it.
            await sending.received.wait()
        except VerbFailed as error:
            failure = self._failure_of(error, may_have_left=sending.provider_id is not None)
            if not isinstance(failure, Unconfirmed):
                raise failure from error
            await sending.received.wait()
        assert sending.provider_id
        return Receipt(sending.provider_id, orjson.dumps({"message": message, "chat": jid}))

    def _failure_of(self, error: VerbFailed, *, may_have_left: bool) -> GatewayError:
        """Returns the error that `send` raises; *may_have_left*: the message had its id."""
        return failure_of(error, may_have_left=may_have_left, now=self._context.clock.now())

    async def add_poll(self, provider_id: str, options: Sequence[str]) -> None:
        await self._context.store.add_poll(self.spec.instance_id, provider_id, options)

    async def poll_options(self, provider_id: str) -> list[str]:
        return await self._context.store.poll_options(self.spec.instance_id, provider_id)

    def close(self) -> None:
        self._closed = True
        self._wakeup.set()
        self.supervisor.close()

    async def message_ids(self, provider_ids: Sequence[str]) -> list[str]:
        """Returns the gateway's id of each message that it sent, WhatsApp's id of each other."""
        return await self._context.store.message_ids(self.spec.instance_id, provider_ids)

    def _require_right_to_act(self) -> None:
        if self._closed or self._context.clock.monotonic_seconds() >= self.spec.may_act_until():
            raise NotConnected("The lease of this session lapsed.")

    def _next_state(self) -> ReportedEvent | None:
        change, self._new_state = self._new_state, None
        if change is None:
            return None
        return ReportedEvent(change, f"state-{secrets.token_hex(8)}", acknowledge_nothing)

    def _next_identity(self) -> ReportedEvent | None:
        identity, self._new_identity = self._new_identity, None
        if identity is None:
            return None
        return ReportedEvent(identity, f"identity-{secrets.token_hex(8)}", acknowledge_nothing)

    def _on_lid(self, lid: str) -> None:
        """Reports lid and number once per session, for the callbacks of own messages."""
        if lid != self._lid:
            self._lid = lid
            self._new_identity = IdentityLearned(
                lid, self._context.clock.now(), phone=self.own_phone
            )
            self._wakeup.set()

    def _on_state(self, state: ConnectionState, reason: str | None) -> None:
        connected = state is ConnectionState.CONNECTED
        self._new_state = ConnectionChanged(
            state,
            self._context.clock.now(),
            phone=self.supervisor.phone if state.is_linked else None,
            reason=reason or (None if connected else state.sentence),
        )
        self._wakeup.set()

    async def _on_event(self, event: LibraryEvent) -> None:
        """Returns when the event is stored: the library waits for that, and so does WhatsApp."""
        if event.name == "Sending":
            await self._store_id(event.body["id"])
        elif event.name in STORED_EVENTS:
            await self._context.store.add_event(self.spec.instance_id, event.name, event.body)
            if event.name == "Receipt":
                self._check_receipt(event.body.get("MessageIDs", ()))
            self._wakeup.set()

    async def _store_id(self, provider_id: str) -> None:
        sending = self._in_flight
        if sending is None or sending.provider_id is not None:
            return
        await self._context.store.add_send(self.spec.instance_id, provider_id, sending.message_id)
        sending.provider_id = provider_id

    def _check_receipt(self, provider_ids: list[str]) -> None:
        sending = self._in_flight
        if sending and sending.provider_id in provider_ids:
            sending.received.set()


def _caller_error(error: VerbFailed) -> CallerError:
    return InvalidRequest(f"WhatsApp refused: {error.text}")
