"""What a chat shows of us."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.presence import ShowTyping
from gateway.errors import NotConnected
from gateway.providers.sandbox.session import SandboxSession

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
