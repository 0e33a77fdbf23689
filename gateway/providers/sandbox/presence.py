"""What a chat shows of us."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.presence import RejectCall, ShowTyping
from gateway.errors import NotConnected
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.telling import WHEN_TOLD, told
from gateway.sessions.provider import CallChanged

operations: Handlers[SandboxSession] = Handlers()


@operations.handles(ShowTyping)
async def show_typing(session: SandboxSession, asked: ShowTyping) -> Value:
    session.require_right_to_act()
    shown = await session.around.world.show_typing(
        session.seat.instance_id,
        epoch=session.seat.epoch,
        phone=asked.phone,
        seconds=asked.seconds,
    )
    if not shown:
        raise NotConnected("The phone is out of reach.")
    return Value()


@operations.handles(RejectCall)
async def reject_call(session: SandboxSession, asked: RejectCall) -> Value:
    await session.own_phone()
    missed = told(
        CallChanged(
            call_id=asked.call_id,
            chat=asked.phone,
            status="missed",
            is_video=False,
            at=WHEN_TOLD,
        )
    )
    await session.around.world.hear_of(session.seat.instance_id, missed)
    session.around.look_within(0)
    return Value()
