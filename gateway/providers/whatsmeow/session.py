"""The live session of one instance: three verbs over a child process that may die any time."""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import orjson

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.errors import (
    CallerError,
    InvalidRequest,
    NotConnected,
    SessionUnavailable,
    Unconfirmed,
)
from gateway.providers.whatsmeow.event_handlers import Calls
from gateway.providers.whatsmeow.failures import failure_of, sentence_of
from gateway.providers.whatsmeow.inbound import KEPT, events_of
from gateway.providers.whatsmeow.jids import jid_of
from gateway.providers.whatsmeow.process import ChildGone, VerbFailed
from gateway.providers.whatsmeow.session_supervisor import SessionSupervisor
from gateway.providers.whatsmeow.surrounding import ClientContext
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    Attempt,
    ConnectionChanged,
    Receipt,
    ReportedEvent,
    SessionSpec,
)
from gateway.whatsmeow_child.frames import Json, Tell

Result = TypeVar("Result")
Fields = dict[str, Any]
"""A WhatsApp message in protobuf's JSON form."""


@dataclass(slots=True)
class _OnItsWay:
    """A message in the library's hands; `provider_id` is known just before it leaves."""

    message_id: str
    provider_id: str | None = None
    seen: asyncio.Event = field(default_factory=asyncio.Event)
    """A receipt of somebody proves that it arrived."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a handler of sends works with."""

    session: "WhatsmeowSession"
    attempt: Attempt

    async def deliver(self, chat: str, message: Fields) -> Receipt:
        return await self.session.deliver(self.attempt, jid_of(chat), message)


class WhatsmeowSession:
    """Events are read back from the database, so that memory holds none and none is lost."""

    def __init__(
        self,
        spec: SessionSpec,
        context: ClientContext,
        *,
        sends: Handlers[Outgoing],
        operations: "Handlers[WhatsmeowSession]",
    ) -> None:
        self.spec, self._context = spec, context
        self._sends, self._operations = sends, operations
        self._sending = asyncio.Lock()
        self._on_its_way: _OnItsWay | None = None
        self._wakeup = asyncio.Event()
        self._closed = False
        self.calls = Calls()
        self._news: ConnectionChanged | None = ConnectionChanged(
            ConnectionState.CONNECTING, context.clock.now()
        )
        self.supervisor = SessionSupervisor(
            spec, context, changed=self._changed, happened=self._happened
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
            raise NotConnected("The message was taken under an older lease.")
        try:
            async with asyncio.timeout(attempt.time_limit_seconds), self._sending:
                self._on_its_way = _OnItsWay(attempt.message_id)
                receipt: Receipt = await self._sends.handle(Outgoing(self, attempt), message)
                return receipt
        except TimeoutError:
            if self._on_its_way and self._on_its_way.provider_id is None:
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

    async def events(self) -> AsyncIterator[ReportedEvent]:
        told_up_to = 0
        while not self._closed:
            self._wakeup.clear()
            if news := self._take_news():
                yield news
                continue
            kept = await self._context.store.events(self.spec.instance_id, after=told_up_to)
            for event in kept:
                if news := self._take_news():
                    yield news
                told_up_to = event.id
                forget = partial(self._context.store.forget_event, self.spec.instance_id, event.id)
                *facts, last = await events_of(event, self) or (None,)
                for number, fact in enumerate(facts):
                    yield ReportedEvent(fact, f"{event.id}.{number}", _nothing_to_forget)
                if last is None:
                    await forget()
                else:
                    yield ReportedEvent(last, str(event.id), forget)
            if not kept:
                await self._wakeup.wait()

    async def call(self, verb: str, **arguments: Json) -> Json:
        """Asks the library; raises NotConnected or VerbFailed."""
        return await self.supervisor.execute(verb, **arguments)

    async def picture(self, source: str) -> str:
        """What a caller named as a picture, as base64 of a JPEG; raises a CallerError."""
        return b64encode(await self._context.picture(source)).decode()

    async def deliver(self, attempt: Attempt, jid: str, message: Fields) -> Receipt:
        """Hands a message to WhatsApp under an id of the library's choice."""
        sending = self._on_its_way = _OnItsWay(attempt.message_id)
        if self.supervisor.state is not ConnectionState.CONNECTED:
            raise NotConnected(self.supervisor.state.sentence)
        self._require_right_to_act()
        try:
            answer = await self.supervisor.execute_raw("send", chat=jid, message=message)
            sending.provider_id = answer["id"]
        except ChildGone:
            if sending.provider_id is None:
                raise NotConnected("The session's process ended before it was sent.") from None
            # It may have arrived: somebody's receipt would prove it.
            await sending.seen.wait()
        except VerbFailed as error:
            failure = failure_of(error, may_have_left=sending.provider_id is not None)
            if not isinstance(failure, Unconfirmed):
                raise failure from error
            await sending.seen.wait()
        assert sending.provider_id
        return Receipt(sending.provider_id, orjson.dumps({"message": message, "chat": jid}))

    async def remember_poll(self, provider_id: str, options: Sequence[str]) -> None:
        await self._context.store.add_poll(self.spec.instance_id, provider_id, options)

    async def poll_options(self, provider_id: str) -> list[str]:
        return await self._context.store.poll_options(self.spec.instance_id, provider_id)

    def close(self) -> None:
        self._closed = True
        self._wakeup.set()
        self.supervisor.close()

    async def our_ids(self, provider_ids: Sequence[str]) -> list[str]:
        """Our id of each message we sent, WhatsApp's of the others."""
        return await self._context.store.our_ids(self.spec.instance_id, provider_ids)

    def _require_right_to_act(self) -> None:
        if self._closed or self._context.clock.monotonic_seconds() >= self.spec.may_act_until():
            raise NotConnected("The lease of this session lapsed.")

    def _take_news(self) -> ReportedEvent | None:
        news, self._news = self._news, None
        if news is None:
            return None
        return ReportedEvent(news, f"state-{secrets.token_hex(8)}", _nothing_to_forget)

    def _changed(self, state: ConnectionState, reason: str | None) -> None:
        connected = state is ConnectionState.CONNECTED
        self._news = ConnectionChanged(
            state,
            self._context.clock.now(),
            phone=self.supervisor.phone if state.is_linked else None,
            reason=reason or (None if connected else state.sentence),
        )
        self._wakeup.set()

    async def _happened(self, told: Tell) -> None:
        """Returns once it is safe: the library, and WhatsApp behind it, wait for that."""
        if told.name == "Sending":
            await self._note_id(told.body["id"])
        elif told.name in KEPT:
            await self._context.store.add_event(self.spec.instance_id, told.name, told.body)
            if told.name == "Receipt":
                self._look_for_proof(told.body.get("MessageIDs", ()))
            self._wakeup.set()

    async def _note_id(self, provider_id: str) -> None:
        sending = self._on_its_way
        if sending is None or sending.provider_id is not None:
            return
        await self._context.store.add_send(self.spec.instance_id, provider_id, sending.message_id)
        sending.provider_id = provider_id

    def _look_for_proof(self, provider_ids: list[str]) -> None:
        sending = self._on_its_way
        if sending and sending.provider_id in provider_ids:
            sending.seen.set()


async def _nothing_to_forget() -> None:
    pass


def _caller_error(error: VerbFailed) -> CallerError:
    return InvalidRequest(f"WhatsApp refused: {error.text}")
