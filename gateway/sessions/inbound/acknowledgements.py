"""Processes receipts: what other devices say became of messages."""

from collections.abc import Iterator, Sequence
from typing import Final

from psycopg import AsyncConnection

from gateway.clock import epoch_ms
from gateway.contract.callbacks import MessageStatus, MessageStatusCallback
from gateway.contract.spellings import is_group
from gateway.history.received import Acknowledged, StateReached, acknowledge
from gateway.identities.people import Person, person, resolve_people_of
from gateway.sessions.events import Acknowledgement, MessageAcknowledged
from gateway.webhooks.outbox import Outbox

_STATUS: Final[dict[Acknowledgement, MessageStatus]] = {
    "sent": "SENT",
    "delivered": "RECEIVED",
    "read": "READ",
    "played": "PLAYED",
    "read_by_me": "READ_BY_ME",
}


async def process_acknowledgements(
    connection: AsyncConnection, outbox: Outbox, events: Sequence[tuple[str, MessageAcknowledged]]
) -> list[bool]:
    """Processes receipts with the ids of their instances, at most one of each, in one transaction.

    Returns for each False if a message it names is sent and not recorded yet: the event must wait.
    """
    people = await resolve_people_of(
        connection, [(instance_id, _reported(event)) for instance_id, event in events]
    )
    found = await acknowledge(
        connection,
        [
            StateReached(
                instance_id,
                tuple(dict.fromkeys(event.provider_message_ids)),
                status="read" if event.status == "read_by_me" else event.status,
                at=event.at,
                by=named[0].chat if named and is_group(event.chat) else None,
            )
            for (instance_id, event), named in zip(events, people, strict=True)
        ],
    )
    callbacks = [
        (instance_id, chat, callback.type, callback.body())
        for (instance_id, event), named, messages in zip(events, people, found, strict=True)
        for chat, callback in _callbacks(instance_id, event, named, messages)
    ]
    if callbacks:
        await outbox.enqueue_all_within(connection, callbacks)
    return [not any(message.is_in_flight for message in messages) for messages in found]


def _reported(event: MessageAcknowledged) -> list[Person]:
    """Returns the person of the chat; in a group who reached the state, if that is known."""
    if not is_group(event.chat):
        return [person(event.chat, event.chat_lid)]
    return [person(event.by, event.by_lid)] if event.by else []


def _callbacks(
    instance_id: str,
    event: MessageAcknowledged,
    people: Sequence[Person],
    messages: Sequence[Acknowledged],
) -> Iterator[tuple[str, MessageStatusCallback]]:
    """Yields one callback for each reference of the caller, with its chat."""
    in_group = is_group(event.chat)
    by = people[0] if in_group and people else None
    from_me = event.status != "read_by_me"
    news = [m for m in messages if m.is_news and m.from_me is from_me]
    for track_id in dict.fromkeys(m.track_id for m in news):
        same = [m for m in news if m.track_id == track_id]
        phone = same[0].phone
        yield (
            same[0].chat,
            MessageStatusCallback(
                instance_id=instance_id,
                momment=epoch_ms(event.at),
                status=_STATUS[event.status],
                ids=tuple(m.message_id for m in same),
                message_id=same[0].message_id,
                track_id=track_id,
                phone=phone,
                phone_device=event.device,
                is_group=is_group(phone),
                chat_lid=people[0].lid if people and not in_group else event.chat_lid,
                participant_phone=by.chat if by else None,
                participant_lid=by.lid if by else None,
            ),
        )
