"""What an event leads to, in the transaction it is given."""

from typing import assert_never

from gateway.history.received import add_received, count_none_as_unread, store_chat
from gateway.identities.people import Person, recognise
from gateway.sessions.events import (
    CallChanged,
    ConnectionChanged,
    Event,
    HistoryChat,
    HistoryReceived,
    IdentityLearned,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    PresenceChanged,
)
from gateway.sessions.inbound.event_context import EventContext
from gateway.sessions.inbound.notifications import tell_call, tell_notification
from gateway.sessions.inbound.participants import RawParticipants, participants
from gateway.sessions.inbound.receiving import receive, to_keep
from gateway.sessions.inbound.states import acknowledge, note_connection, tell_presence


async def process(context: EventContext, event: Event) -> bool:
    """False where it cannot be settled yet: its message is on its way to history."""
    match event:
        case MessageReceived():
            await receive(context, event)
        case MessageAcknowledged():
            return await acknowledge(context, event)
        case Notified():
            await tell_notification(context, event)
        case CallChanged():
            await tell_call(context, event)
        case _:
            await _settle_state(context, event)
    return True


async def _settle_state(
    context: EventContext,
    event: ConnectionChanged | HistoryReceived | PresenceChanged | IdentityLearned,
) -> None:
    match event:
        case ConnectionChanged():
            await note_connection(context, event)
        case HistoryReceived():
            await _keep_history(context, event)
        case PresenceChanged():
            await tell_presence(context, event)
        case IdentityLearned(lid=lid, phone=phone, name=name):
            await recognise(context.connection, context.instance.id, [Person(lid, phone, name)])
        case _:
            assert_never(event)


async def _keep_history(context: EventContext, event: HistoryReceived) -> None:
    await count_none_as_unread(context.connection)
    for message in event.messages:
        received, _ = await to_keep(context, message)
        await add_received(
            context.connection,
            context.instance.id,
            received,
            callback_id=context.outbox.new_id(),
            callback=None,
        )
    for chat in event.chats:
        await _store_chat(context, chat)


async def _store_chat(context: EventContext, chat: HistoryChat) -> None:
    who = await participants(
        context,
        RawParticipants(
            chat=chat.chat,
            chat_lid=chat.chat_lid,
            chat_name=chat.name,
            sender=None,
            sender_lid=None,
            sender_name=None,
            from_me=True,
        ),
    )
    await store_chat(
        context.connection,
        context.instance.id,
        who.chat,
        name=chat.name,
        unread=chat.unread,
        last_message_at=chat.last_message_at,
    )
