"""What is done with a whole chat: the phone and the other devices show it too."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.chats import TouchChat
from gateway.whatsapp_web.jids import jid_of
from gateway.whatsapp_web.operations.contacts import mark_unread_as_read
from gateway.whatsapp_web.session import Fields, WebSession

operations: Handlers[WebSession] = Handlers()


@operations.handles(TouchChat)
async def touch(session: WebSession, operation: TouchChat) -> Value:
    jid, newest = jid_of(operation.phone), _newest(operation)
    if operation.action == "read":
        await mark_unread_as_read(session, operation)
        await session.call("end_unread_mark", jid=jid, newest=newest)
    else:
        await session.call("modify_chat", jid=jid, action=operation.action, newest=newest)
    return Value()


def _newest(operation: TouchChat) -> Fields | None:
    if (newest := operation.newest) is None:
        return None
    sender = jid_of(newest.sender) if newest.sender else None
    return {
        "id": newest.id,
        "from_me": newest.from_me,
        "sender": sender,
        "sent_at": newest.sent_at,
    }
