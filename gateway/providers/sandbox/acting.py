"""What is done to a message at once: read, deleted."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.handlers import Handlers
from gateway.contract.known import KnownMessage
from gateway.contract.messages.acting_on_messages import MarkRead, Revoke
from gateway.contract.operation import Value
from gateway.errors import NotConnected
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.world import Change

operations: Handlers[SandboxSession] = Handlers()


@operations.handles(MarkRead)
async def mark_read(session: SandboxSession, asked: MarkRead) -> Value:
    return await _mark(session, asked.target, {"read": True})


@operations.handles(Revoke)
async def revoke(session: SandboxSession, asked: Revoke) -> Value:
    return await _mark(session, asked.target, {"deleted": True})


async def _mark(session: SandboxSession, target: KnownMessage, marks: Mapping[str, Any]) -> Value:
    session.require_right_to_act()
    change = Change(target.provider_message_id, marks)
    if not await session.around.world.mark(
        session.seat.instance_id, change, epoch=session.seat.epoch
    ):
        raise NotConnected("The phone is out of reach.")
    return Value()
