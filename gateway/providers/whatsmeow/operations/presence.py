"""What a chat shows of us, and calls that ring."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.presence import RejectCall, ShowTyping
from gateway.providers.whatsmeow.jids import jid_of
from gateway.providers.whatsmeow.session import WhatsmeowSession

operations: Handlers[WhatsmeowSession] = Handlers()


@operations.handles(ShowTyping)
async def show_typing(session: WhatsmeowSession, asked: ShowTyping) -> Value:
    """WhatsApp takes it back by itself when the message comes, or after some seconds."""
    await session.call("typing", chat=jid_of(asked.phone), on=True)
    return Value()


@operations.handles(RejectCall)
async def reject_call(session: WhatsmeowSession, asked: RejectCall) -> Value:
    """Under the address it came from, which need not be the phone."""
    caller = session.calls.caller(asked.call_id) or jid_of(asked.phone)
    await session.call("reject_call", caller=caller, call_id=asked.call_id)
    return Value()
