"""Answers to what is asked about one message, which may still be in the queue."""

from dataclasses import dataclass

from gateway.contract.handlers import Handlers
from gateway.contract.known import KnownMessage
from gateway.contract.messages.acting_on_messages import (
    DeleteMessage,
    ReadMessage,
    Revoke,
)
from gateway.contract.operation import Value
from gateway.contract.presence import MarkRead
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.history.store import History
from gateway.send_queue.operations import QueueDesk, canceled, state_of
from gateway.sessions.ask import Asker


@dataclass(frozen=True, slots=True)
class MessageDesk:
    """What the answers are made from."""

    queue: QueueDesk
    history: History
    asker: Asker


handlers = Handlers[MessageDesk]()


@handlers.handles(DeleteMessage)
async def delete_message(desk: MessageDesk, operation: DeleteMessage) -> Value:
    if operation.owner and await canceled(desk.queue, operation.message_id):
        return Value()
    message = await _known(desk, operation.message_id)
    if message.from_me != operation.owner:
        raise InvalidRequest(f"owner: must be {str(message.from_me).lower()} for this message")
    return await desk.asker.ask(desk.queue.instance, Revoke(target=message))


@handlers.handles(ReadMessage)
async def read_message(desk: MessageDesk, operation: ReadMessage) -> Value:
    if await state_of(desk.queue, operation.message_id):
        return Value()  # one of ours: nobody waits for us to read it
    message = await _known(desk, operation.message_id)
    return await desk.asker.ask(
        desk.queue.instance,
        MarkRead(
            phone=message.chat,
            message_ids=(message.provider_message_id,),
            sender=message.sender,
        ),
    )


async def _known(desk: MessageDesk, message_id: str) -> KnownMessage:
    known = await desk.history.known(desk.queue.instance.id, (message_id,))
    if message := known.get(message_id):
        return message
    if state := await state_of(desk.queue, message_id):
        raise Conflict(f"The message is {state}")
    raise NotFound("Message not found")
