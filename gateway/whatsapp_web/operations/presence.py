"""Typing indicators, and rejecting calls."""

from gateway.contract.handlers import Handlers
from gateway.contract.internal.presence import RejectCall, ShowTyping
from gateway.contract.operation import Value
from gateway.whatsapp_web.jids import jid_of
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()


@operations.handles(ShowTyping)
async def show_typing(session: WebSession, operation: ShowTyping) -> Value:
    """Shows that this account types; WhatsApp ends it with the message or after seconds."""
    await session.call("typing", chat=jid_of(operation.phone), on=True)
    return Value()


@operations.handles(RejectCall)
async def reject_call(session: WebSession, operation: RejectCall) -> Value:
    """Rejects the call under the address that it came from, which may be a lid."""
    caller = session.calls.caller(operation.call_id) or jid_of(operation.phone)
    await session.call("reject_call", caller=caller, call_id=operation.call_id)
    return Value()
