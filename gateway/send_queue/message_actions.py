"""Handles operations on one message, which may be in the queue or in history."""

from collections import defaultdict
from dataclasses import dataclass

from gateway.contract.handlers import Handlers
from gateway.contract.internal.presence import MarkRead
from gateway.contract.known import KnownMessage
from gateway.contract.operation import Value
from gateway.contract.zapi.messages.message_actions import (
    DeleteMessage,
    Hide,
    ReadMessage,
    Revoke,
)
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.history.store import History
from gateway.send_queue.operations import QueueContext, cancel_message, message_state
from gateway.sessions.router import SessionRouter


@dataclass(frozen=True, slots=True)
class MessageActionContext:
    """What the handlers of message actions work with."""

    queue: QueueContext
    history: History
    router: SessionRouter


handlers = Handlers[MessageActionContext]()


@handlers.handles(DeleteMessage)
async def delete_message(context: MessageActionContext, operation: DeleteMessage) -> Value:
    if operation.owner and await cancel_message(context.queue, operation.message_id):
        return Value()
    message = await _find_known(context, operation.message_id)
    if message.from_me != operation.owner:
        raise InvalidRequest(f"owner: must be {str(message.from_me).lower()} for this message")
    change = Hide(target=message) if operation.delete_for_me else Revoke(target=message)
    return await context.router.execute(context.queue.instance, change)


@handlers.handles(ReadMessage)
async def read_message(context: MessageActionContext, operation: ReadMessage) -> Value:
    """Marks the messages of each sender together; all are found before the first is marked."""
    by_sender = defaultdict[tuple[str, str | None], list[str]](list)
    for message_id in operation.ids:
        if await message_state(context.queue, message_id):
            continue  # this instance sent it: there is no read receipt to send
        message = await _find_known(context, message_id)
        by_sender[message.chat, message.sender].append(message.provider_message_id)
    for (chat, sender), ids in by_sender.items():
        await context.router.execute(
            context.queue.instance, MarkRead(phone=chat, message_ids=tuple(ids), sender=sender)
        )
    return Value()


async def _find_known(context: MessageActionContext, message_id: str) -> KnownMessage:
    known = await context.history.known(context.queue.instance.id, (message_id,))
    if message := known.get(message_id):
        return message
    if state := await message_state(context.queue, message_id):
        raise Conflict(f"The message is {state}")
    raise NotFound("Message not found")
