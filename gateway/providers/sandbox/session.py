"""The live session of one instance: three verbs, and nothing that outlives it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from gateway.clock import Clock
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.errors import NotConnected, Unconfirmed
from gateway.providers.sandbox import pairing
from gateway.providers.sandbox.entities import Entities
from gateway.providers.sandbox.settings import SandboxSettings
from gateway.providers.sandbox.telling import connection, connection_version, event_of
from gateway.providers.sandbox.world import DueEvent, Phone, World
from gateway.randomness import RandomBytes, Uniform
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import Attempt, Receipt, ReportedEvent, SessionSpec

Result = TypeVar("Result")

_MAX_IN_HAND = 200


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a handler of sends works with."""

    session: "SandboxSession"
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class ClientContext:
    """What all sessions of an engine share; `look_within` says when the next event is due."""

    world: World
    entities: Entities
    settings: SandboxSettings
    clock: Clock
    uniform: Uniform
    random_bytes: RandomBytes
    look_within: Callable[[float], None]
    sends: Handlers[Outgoing]
    operations: "Handlers[SandboxSession]"


class SandboxSession:
    """Fed by the engine's pump, emptied by whoever iterates over `events`.

    `phone` is None where somebody holds a newer lease: such a session tells that, and no more.
    """

    __slots__ = ("_closed", "_told", "context", "in_hand", "phone", "spec")

    def __init__(
        self, spec: SessionSpec, phone: Phone | None, context: ClientContext, opening_id: str
    ) -> None:
        self.spec, self.phone, self.context = spec, phone, context
        self.in_hand: set[int] = set()
        self._told: asyncio.Queue[ReportedEvent | None] = asyncio.Queue()
        self._closed = False
        self._told.put_nowait(self._opening(opening_id))

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        self.require_right_to_act()
        try:
            async with asyncio.timeout(attempt.time_limit_seconds):
                receipt: Receipt = await self.context.sends.handle(Outgoing(self, attempt), message)
        except TimeoutError:
            limit = f"{attempt.time_limit_seconds:g}"
            raise Unconfirmed(f"WhatsApp did not answer within {limit} seconds.") from None
        return receipt

    async def execute(self, operation: Operation[Result]) -> Result:
        answer: Result = await self.context.operations.handle(self, operation)
        return answer

    async def events(self) -> AsyncIterator[ReportedEvent]:
        while delivery := await self._told.get():
            yield delivery
        self._told.put_nowait(None)  # whoever iterates again is told the same

    def qr_text(self) -> str:
        """What the phone would scan; another every 20 seconds."""
        return pairing.qr_text(self.require_seat().secret, self.context.clock.now())

    def pairing_code(self, phone: str) -> str:
        """What would be typed on *phone*; another every 3 minutes."""
        return pairing.pairing_code(self.require_seat().secret, phone, self.context.clock.now())

    def require_right_to_act(self) -> None:
        """Asked right before WhatsApp is touched: a lease may lapse while we wait."""
        if self._closed or not self._may_act():
            raise NotConnected("The lease of this session lapsed.")

    def require_seat(self) -> Phone:
        """Asked before the phone itself is steered: whoever was replaced has none."""
        self.require_right_to_act()
        if self.phone is None:
            raise NotConnected("The session was opened elsewhere.")
        return self.phone

    async def own_phone(self) -> str:
        """This number, asked before the world is touched."""
        self.require_seat()
        seen = await self.context.world.look(self.spec.instance_id)
        if seen.state is not ConnectionState.CONNECTED:
            raise NotConnected(seen.state.sentence)
        return seen.phone

    def can_take(self) -> bool:
        """False while whoever reads us is behind, or the lease lapsed: the rest waits."""
        return len(self.in_hand) < _MAX_IN_HAND and self._may_act()

    def tell(self, due: DueEvent) -> bool:
        """Hands an event on, once; False when our opening has told it already."""
        version = connection_version(due.body)
        if version is not None and self.phone and version <= self.phone.version:
            return False
        if due.id not in self.in_hand:
            self.in_hand.add(due.id)
            self._told.put_nowait(
                ReportedEvent(
                    event_of(due.body, due.due_at), str(due.id), partial(self._acknowledge, due.id)
                )
            )
        return True

    def close(self) -> None:
        self._closed = True
        self._told.put_nowait(None)

    async def _acknowledge(self, event_id: int) -> None:
        await self.context.world.forget(self.spec.instance_id, (event_id,))
        could_take = self.can_take()
        self.in_hand.discard(event_id)
        if not could_take:
            self.context.look_within(0)

    def _may_act(self) -> bool:
        return self.context.clock.monotonic_seconds() < self.spec.may_act_until()

    def _opening(self, opening_id: str) -> ReportedEvent:
        """The state we found: not kept anywhere, as the next opening tells its own."""
        state = self.phone.state if self.phone else ConnectionState.REPLACED
        number = self.phone.phone if self.phone else ""
        event = connection(state, self.context.clock.now(), number)
        return ReportedEvent(event, opening_id, _nothing_to_forget)


async def _nothing_to_forget() -> None:
    pass
