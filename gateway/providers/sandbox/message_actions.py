"""Actions on a message that do not wait in the queue: marking it read, deleting it."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.handlers import Handlers
from gateway.contract.internal.presence import MarkRead
from gateway.contract.operation import Value
from gateway.contract.zapi.messages.message_actions import Hide, Revoke
from gateway.errors import NotConnected
from gateway.providers.sandbox.account import account_of
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.world import MessageMarks

operations: Handlers[SandboxSession] = Handlers()


@operations.handles(MarkRead)
async def mark_read(session: SandboxSession, operation: MarkRead) -> Value:
    """Marks messages as read; the sender gets receipts unless this phone turned them off."""
    for message_id in operation.message_ids:
        await _mark(session, message_id, {"read": True})
    if (await account_of(session)).privacy.read_receipts == "enable":
        await session.context.world.mark_read(
            operation.sender or operation.phone, operation.message_ids
        )
    return Value()


@operations.handles(Revoke)
async def revoke(session: SandboxSession, operation: Revoke) -> Value:
    return await _mark(session, operation.target.provider_message_id, {"deleted": True})


@operations.handles(Hide)
async def hide(session: SandboxSession, operation: Hide) -> Value:
    return await _mark(session, operation.target.provider_message_id, {"hidden": True})


async def _mark(session: SandboxSession, message_id: str, marks: Mapping[str, Any]) -> Value:
    session.require_right_to_act()
    change = MessageMarks(message_id, marks)
    if not await session.context.world.mark(
        session.spec.instance_id, change, epoch=session.spec.epoch
    ):
        raise NotConnected("The phone is not connected.")
    return Value()
