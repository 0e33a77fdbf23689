"""Typing indicators, and rejecting calls."""

from gateway.contract.handlers import Handlers
from gateway.contract.internal.presence import RejectCall, ShowTyping
from gateway.contract.operation import Value
from gateway.providers.whatsmeow.jids import jid_of
from gateway.providers.whatsmeow.session import WhatsmeowSession

operations: Handlers[WhatsmeowSession] = Handlers()


@operations.handles(ShowTyping)
async def show_typing(session: WhatsmeowSession, operation: ShowTyping) -> Value:
    """Shows that this account types; WhatsApp ends it with the message or after seconds."""
    await session.call("typing", chat=jid_of(operation.phone), on=True)
    return Value()


@operations.handles(RejectCall)
async def reject_call(session: WhatsmeowSession, operation: RejectCall) -> Value:
    """Rejects the call under the address that it came from, which may be a lid."""
    caller = session.calls.caller(operation.call_id) or jid_of(operation.phone)
    await session.call("reject_call", caller=caller, call_id=operation.call_id)
    return Value()
