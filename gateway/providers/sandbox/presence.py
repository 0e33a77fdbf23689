"""Presence in chats: typing, and rejected calls."""

from gateway.contract.handlers import Handlers
from gateway.contract.internal.presence import RejectCall, ShowTyping
from gateway.contract.operation import Value
from gateway.errors import NotConnected
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.stored_events import WHEN_DUE, event_body
from gateway.sessions.provider import CallChanged

operations: Handlers[SandboxSession] = Handlers()


@operations.handles(ShowTyping)
async def show_typing(session: SandboxSession, operation: ShowTyping) -> Value:
    session.require_right_to_act()
    shown = await session.context.world.show_typing(
        session.spec.instance_id,
        epoch=session.spec.epoch,
        phone=operation.phone,
        seconds=operation.seconds,
    )
    if not shown:
        raise NotConnected("The phone is not connected.")
    return Value()


@operations.handles(RejectCall)
async def reject_call(session: SandboxSession, operation: RejectCall) -> Value:
    await session.own_phone()
    missed = event_body(
        CallChanged(
            call_id=operation.call_id,
            chat=operation.phone,
            status="missed",
            is_video=False,
            at=WHEN_DUE,
        )
    )
    await session.context.world.enqueue_event(session.spec.instance_id, missed)
    session.context.wake_within(0)
    return Value()
