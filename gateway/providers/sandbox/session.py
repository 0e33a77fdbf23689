"""The live session of one instance: sends, executes operations, yields events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from gateway.clock import Clock
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.errors import DatabaseUnavailable, NotConnected, Unconfirmed
from gateway.providers.sandbox import pairing
from gateway.providers.sandbox.entities import Entities
from gateway.providers.sandbox.settings import SandboxSettings
from gateway.providers.sandbox.stored_events import connection, connection_version, event_of
from gateway.providers.sandbox.world import DueEvent, Phone, World
from gateway.randomness import RandomBytes, Uniform
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import Attempt, Receipt, ReportedEvent, SessionSpec

Result = TypeVar("Result")

_MAX_IN_FLIGHT = 200


@dataclass(frozen=True, slots=True)
class SandboxSend:
    """The session that sends, and the attempt."""

    session: "SandboxSession"
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class SandboxContext:
    """The dependencies of all sessions of an engine.

    `wake_within` makes the delivery loop run within so many seconds.
    """

    world: World
    entities: Entities
    settings: SandboxSettings
    clock: Clock
    uniform: Uniform
    random_bytes: RandomBytes
    wake_within: Callable[[float], None]
    sends: Handlers[SandboxSend]
    operations: "Handlers[SandboxSession]"


class SandboxSession:
    """The engine's delivery loop writes its events; the reader of `events` takes them.

    `phone` is None if another session has a newer lease: then its only event says so.
    """

    __slots__ = ("_closed", "_deliveries", "context", "in_flight", "phone", "spec")

    def __init__(
        self, spec: SessionSpec, phone: Phone | None, context: SandboxContext, opening_id: str
    ) -> None:
        self.spec, self.phone, self.context = spec, phone, context
        self.in_flight: set[int] = set()
        self._deliveries: asyncio.Queue[ReportedEvent | None] = asyncio.Queue()
        self._closed = False
        self._deliveries.put_nowait(self._opening(opening_id))

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        self.require_right_to_act()
        try:
            async with asyncio.timeout(attempt.time_limit_seconds):
                receipt: Receipt = await self.context.sends.handle(
                    SandboxSend(self, attempt), message
                )
        except TimeoutError:
            limit = f"{attempt.time_limit_seconds:g}"
            raise Unconfirmed(f"WhatsApp did not answer within {limit} seconds.") from None
        except DatabaseUnavailable as error:  # Postgres holds the simulated WhatsApp
            if error.refused:
                raise NotConnected("The simulated WhatsApp is out of reach.") from error
            raise Unconfirmed("The simulated WhatsApp's answer was lost.") from error
        return receipt

    async def execute(self, operation: Operation[Result]) -> Result:
        answer: Result = await self.context.operations.handle(self, operation)
        return answer

    async def check_health(self) -> None:
        await self.own_phone()

    async def events(self) -> AsyncIterator[ReportedEvent]:
        while delivery := await self._deliveries.get():
            yield delivery
        self._deliveries.put_nowait(None)  # another iteration ends at once, too

    def qr_text(self) -> str:
        """Returns the text of the QR code; it changes every 20 seconds."""
        return pairing.qr_text(self.require_phone().secret, self.context.clock.now())

    def pairing_code(self, phone: str) -> str:
        """Returns the code to type on *phone*; it changes every 3 minutes."""
        return pairing.pairing_code(self.require_phone().secret, phone, self.context.clock.now())

    def require_right_to_act(self) -> None:
        """Raises NotConnected if the lease lapsed.

        Called right before each change of the world: the lease may lapse during an await.
        """
        if self._closed or not self.may_act():
            raise NotConnected("The lease of this session lapsed.")

    def require_phone(self) -> Phone:
        """Returns the phone; raises NotConnected if the lease lapsed or was replaced."""
        self.require_right_to_act()
        if self.phone is None:
            raise NotConnected("The session was opened elsewhere.")
        return self.phone

    async def own_phone(self) -> str:
        """Returns this number; raises NotConnected if the phone is not connected."""
        self.require_phone()
        seen = await self.context.world.look(self.spec.instance_id)
        if seen.state is not ConnectionState.CONNECTED:
            raise NotConnected(seen.state.sentence)
        return seen.phone

    def has_capacity(self) -> bool:
        """Returns False while too many events are not acknowledged, or after the lease lapsed."""
        return len(self.in_flight) < _MAX_IN_FLIGHT and self.may_act()

    def deliver(self, due: DueEvent) -> bool:
        """Queues an event for the reader, once; False if the opening event already reported it."""
        version = connection_version(due.body)
        if version is not None and self.phone and version <= self.phone.version:
            return False
        if due.id not in self.in_flight:
            self.in_flight.add(due.id)
            self._deliveries.put_nowait(
                ReportedEvent(
                    event_of(due.body, due.due_at), str(due.id), partial(self._acknowledge, due.id)
                )
            )
        return True

    def close(self) -> None:
        self._closed = True
        self._deliveries.put_nowait(None)

    async def _acknowledge(self, event_id: int) -> None:
        await self.context.world.delete_events(self.spec.instance_id, (event_id,))
        had_capacity = self.has_capacity()
        self.in_flight.discard(event_id)
        if not had_capacity:
            self.context.wake_within(0)

    def may_act(self) -> bool:
        """Returns whether this node still owns the lease."""
        return self.context.clock.monotonic_seconds() < self.spec.may_act_until()

    def _opening(self, opening_id: str) -> ReportedEvent:
        """Returns the state at the opening; not stored, since each opening reports its own."""
        state = self.phone.state if self.phone else ConnectionState.REPLACED
        number = self.phone.phone if self.phone else ""
        event = connection(state, self.context.clock.now(), number)
        return ReportedEvent(event, opening_id, _nothing_to_delete)


async def _nothing_to_delete() -> None:
    pass
