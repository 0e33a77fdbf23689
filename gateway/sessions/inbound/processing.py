"""Processes one event in the transaction of its context: history and callbacks."""

from collections.abc import Sequence
from typing import assert_never

from gateway.clock import epoch_ms
from gateway.contract.callbacks import ReceivedCallback, history_pages
from gateway.database.queries import query
from gateway.history.received import (
    ReceivedRow,
    add_received,
    count_none_as_unread,
    store_chat,
)
from gateway.identities.people import Person, person, resolve_people
from gateway.sessions.events import (
    CallChanged,
    ChatModified,
    ConnectionChanged,
    Event,
    HistoryChat,
    HistoryReceived,
    IdentityLearned,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    PictureChanged,
    PresenceChanged,
)
from gateway.sessions.inbound.acknowledgements import process_acknowledgements
from gateway.sessions.inbound.event_context import EventContext
from gateway.sessions.inbound.notifications import process_call, process_notification
from gateway.sessions.inbound.participants import RawParticipants, resolve_participants
from gateway.sessions.inbound.receiving import process_message, received_row
from gateway.sessions.inbound.states import (
    process_connection,
    process_presence,
)

_MODIFY_CHAT = query("directory", "modify_chat")


async def process(context: EventContext, event: Event) -> bool:
    """Returns False if it must wait: the message it is about is sent and not recorded yet."""
    match event:
        case MessageReceived():
            await process_message(context, event)
        case MessageAcknowledged():
            receipts = [(context.instance.id, event)]
            (is_finished,) = await process_acknowledgements(
                context.connection, context.outbox, receipts
            )
            return is_finished
        case Notified():
            await process_notification(context, event)
        case CallChanged():
            await process_call(context, event)
        case _:
            await _process_state(context, event)
    return True


async def _process_state(
    context: EventContext,
    event: ConnectionChanged
    | HistoryReceived
    | PresenceChanged
    | ChatModified
    | PictureChanged
    | IdentityLearned,
) -> None:
    match event:
        case ConnectionChanged():
            await process_connection(context, event)
        case HistoryReceived():
            await _store_history(context, event)
        case PresenceChanged():
            await process_presence(context, event)
        case ChatModified():
            await _modify_chat(context, event)
        case PictureChanged(chat=chat, chat_lid=lid):
            changed = person(chat, lid)
            (known,) = await resolve_people(context.connection, context.instance.id, [changed])
            await context.pictures.changed(context.connection, (known.phone, known.lid))
        case IdentityLearned(lid=lid, phone=phone, name=name):
            await resolve_people(
                context.connection, context.instance.id, [Person(lid, phone, name)]
            )
        case _:
            assert_never(event)


async def _store_history(context: EventContext, event: HistoryReceived) -> None:
    await count_none_as_unread(context.connection)
    read = [await received_row(context, message) for message in event.messages]
    for received, _callback in read:
        await add_received(
            context.connection,
            context.instance.id,
            received,
            callback_id=context.outbox.new_id(),
            callback=None,
        )
    for chat in event.chats:
        await _store_chat(context, chat)
    if context.instance.history_sync_url:
        await _hand_over(context, event, read)


async def _hand_over(
    context: EventContext,
    event: HistoryReceived,
    read: Sequence[tuple[ReceivedRow, ReceivedCallback]],
) -> None:
    """Enqueues the messages as pages for the webhook of the history."""
    messages = [callback.body_with(received.content) for received, callback in read]
    for page in history_pages(context.instance.id, epoch_ms(event.at), messages):
        await context.outbox.enqueue_within(
            context.connection, context.instance.id, page.phone, page.type, page.body()
        )


async def _modify_chat(context: EventContext, event: ChatModified) -> None:
    await context.connection.execute(
        _MODIFY_CHAT,
        {
            "instance_id": context.instance.id,
            "phone": await _listed_chat(context, event.chat, event.chat_lid),
            "action": event.action,
            "at": event.at,
        },
    )


async def _listed_chat(
    context: EventContext, chat: str, chat_lid: str | None, name: str | None = None
) -> str:
    """Returns the name under which a chat is listed."""
    participants = await resolve_participants(
        context,
        RawParticipants(
            chat=chat,
            chat_lid=chat_lid,
            chat_name=name,
            sender=None,
            sender_lid=None,
            sender_name=None,
            from_me=True,
        ),
    )
    return participants.chat


async def _store_chat(context: EventContext, chat: HistoryChat) -> None:
    await store_chat(
        context.connection,
        context.instance.id,
        await _listed_chat(context, chat.chat, chat.chat_lid, chat.name),
        name=chat.name,
        unread=chat.unread,
        last_message_at=chat.last_message_at,
    )
