"""Operations on an existing message."""

from gateway.contract.handlers import Handlers
from gateway.contract.internal.presence import MarkRead
from gateway.contract.known import KnownMessage
from gateway.contract.operation import Value
from gateway.contract.zapi.messages.message_actions import Revoke
from gateway.whatsapp_web.jids import jid_of
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()


@operations.handles(MarkRead)
async def mark_read(session: WebSession, operation: MarkRead) -> Value:
    await session.call(
        "mark_read",
        ids=list(operation.message_ids),
        chat=jid_of(operation.phone),
        sender=jid_of(operation.sender or operation.phone),
    )
    return Value()


@operations.handles(Revoke)
async def revoke(session: WebSession, operation: Revoke) -> Value:
    target: KnownMessage = operation.target
    await session.call(
        "revoke",
        id=target.provider_message_id,
        chat=jid_of(target.chat),
        sender=jid_of(target.sender) if target.sender else None,
    )
    return Value()
