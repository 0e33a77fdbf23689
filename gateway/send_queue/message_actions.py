"""Handles operations on one message, which may be in the queue or in history."""

from dataclasses import dataclass

from gateway.contract.handlers import Handlers
from gateway.contract.internal.presence import MarkRead
from gateway.contract.known import KnownMessage
from gateway.contract.operation import Value
from gateway.contract.zapi.messages.message_actions import (
    DeleteMessage,
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
    message = await _find(context, operation)
    if message.from_me != operation.owner:
        raise InvalidRequest(f"owner: must be {str(message.from_me).lower()} for this message")
    return await context.router.execute(context.queue.instance, Revoke(target=message))


@handlers.handles(ReadMessage)
async def read_message(context: MessageActionContext, operation: ReadMessage) -> Value:
    if await message_state(context.queue, operation.message_id):
        return Value()  # this instance sent it: there is no read receipt to send
    message = await _find(context, operation)
    return await context.router.execute(
        context.queue.instance,
        MarkRead(
            phone=message.chat,
            message_ids=(message.provider_message_id,),
            sender=message.sender,
        ),
    )


async def _find(
    context: MessageActionContext, operation: DeleteMessage | ReadMessage
) -> KnownMessage:
    """Returns the message, from history or as the request describes it.

    Raises:
        Conflict: the instance has not sent it.
        InvalidRequest: the message is not known, and the request does not say who wrote it.
    """
    instance_id, message_id = context.queue.instance.id, operation.message_id
    known = await context.history.known(instance_id, (message_id,))
    if message := known.get(message_id):
        return message
    if state := await message_state(context.queue, message_id):
        raise Conflict(f"The message is {state}")
    chat = (await names_of(context.queue.database, instance_id, operation.phone)).chat
    if assumed := operation.model_copy(update={"phone": chat}).assumed():
        return assumed
    raise InvalidRequest(
        "participantPhone: is required, because this message of a group is not known here"
    )
