"""What an event leads to, in the transaction it is given."""

from typing import assert_never

from gateway.history.received import add_received, count_none_as_unread, keep_chat
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
from gateway.sessions.inbound.about import About
from gateway.sessions.inbound.envelope import Scene, parties
from gateway.sessions.inbound.notices import tell_call, tell_notification
from gateway.sessions.inbound.receiving import receive, to_keep
from gateway.sessions.inbound.states import acknowledge, note_connection, tell_presence


async def settle(about: About, event: Event) -> bool:
    """False where it cannot be settled yet: its message is on its way to history."""
    match event:
        case MessageReceived():
            await receive(about, event)
        case MessageAcknowledged():
            return await acknowledge(about, event)
        case Notified():
            await tell_notification(about, event)
        case CallChanged():
            await tell_call(about, event)
        case _:
            await _settle_state(about, event)
    return True


async def _settle_state(
    about: About, event: ConnectionChanged | HistoryReceived | PresenceChanged | IdentityLearned
) -> None:
    match event:
        case ConnectionChanged():
            await note_connection(about, event)
        case HistoryReceived():
            await _keep_history(about, event)
        case PresenceChanged():
            await tell_presence(about, event)
        case IdentityLearned(lid=lid, phone=phone, name=name):
            await recognise(about.connection, about.instance.id, [Person(lid, phone, name)])
        case _:
            assert_never(event)


async def _keep_history(about: About, event: HistoryReceived) -> None:
    await count_none_as_unread(about.connection)
    for message in event.messages:
        received, _ = await to_keep(about, message)
        await add_received(
            about.connection,
            about.instance.id,
            received,
            callback_id=about.outbox.new_id(),
            callback=None,
        )
    for chat in event.chats:
        await _keep_chat(about, chat)


async def _keep_chat(about: About, chat: HistoryChat) -> None:
    who = await parties(
        about,
        Scene(
            chat=chat.chat,
            chat_lid=chat.chat_lid,
            chat_name=chat.name,
            sender=None,
            sender_lid=None,
            sender_name=None,
            from_me=True,
        ),
    )
    await keep_chat(
        about.connection,
        about.instance.id,
        who.chat,
        name=chat.name,
        unread=chat.unread,
        last_message_at=chat.last_message_at,
    )
