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
from gateway.errors import Conflict, InvalidRequest
from gateway.history.store import History
from gateway.identities.people import names_of
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
    message = await _find(context, operation, operation.message_id)
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
        message = await _find(context, operation, message_id)
        by_sender[message.chat, message.sender].append(message.provider_message_id)
    for (chat, sender), ids in by_sender.items():
        await context.router.execute(
            context.queue.instance, MarkRead(phone=chat, message_ids=tuple(ids), sender=sender)
        )
    return Value()


async def _find(
    context: MessageActionContext, operation: DeleteMessage | ReadMessage, message_id: str
) -> KnownMessage:
    """Returns the message, from history or as the request describes it.

    Raises:
        Conflict: the instance has not sent it.
        InvalidRequest: the message is not known, and the request does not say who wrote it.
    """
    instance_id = context.queue.instance.id
    known = await context.history.known(instance_id, (message_id,))
    if message := known.get(message_id):
        return message
    if state := await message_state(context.queue, message_id):
        raise Conflict(f"The message is {state}")
    chat = (await names_of(context.queue.database, instance_id, operation.phone)).chat
    if assumed := operation.model_copy(update={"phone": chat}).assumed(message_id):
        return assumed
    raise InvalidRequest(
        "participantPhone: is required, because this message of a group is not known here"
    )
