"""Handles /chat-messages: messages of the history in the form of callbacks.

A received message is stored with the content of its callback. A sent one is stored as its request,
and gets its content from the function that makes the callback of `notifySentByMe`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from gateway.clock import epoch_ms
from gateway.contract.callbacks import WAITING, ReceivedCallback
from gateway.contract.callbacks.received import ReceivedStatus
from gateway.contract.callbacks.sent import sent_callback_body
from gateway.contract.catalogue import catalogue
from gateway.contract.echo import EchoContext
from gateway.contract.handlers import Handlers
from gateway.contract.known import KnownMessage
from gateway.contract.media import files_from
from gateway.contract.send import OutgoingMessage
from gateway.contract.spellings import is_group
from gateway.contract.zapi.chats import ListMessages
from gateway.database.payload_seal import Unopened
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.history.store import History
from gateway.identities.people import names_of
from gateway.instances.store import Instance
from gateway.media.stored_links import StoredFiles, StoredLinks
from gateway.observability.error_reports import report_error

_LIST_MESSAGES = query("directory", "list_messages")
_FIND_PEOPLE = query("directory", "find_shown_people")
_FIND_OWN_PHONE = query("directory", "find_own_phone")

_UNKNOWN_IN_HISTORY = ("forwarded", "isEdit", "isStatusReply")
"""What the history does not store of a received message."""
_UNREADABLE = "The message was stored in a form that this version cannot read."

handlers = Handlers["ChatMessagesContext"]()


@dataclass(frozen=True, slots=True)
class ChatMessagesContext:
    """The database, the history for quoted messages, and the links to stored files."""

    database: Database
    history: History
    files: StoredFiles
    instance: Instance


@dataclass(frozen=True, slots=True)
class _Message:
    message_id: str
    from_me: bool
    sender: str | None
    status: str
    type: str
    payload: Mapping[str, Any]
    sent_files: str | None
    at: datetime
    delivered_at: datetime | None
    read_at: datetime | None
    played_at: datetime | None

    @property
    def is_from_api(self) -> bool:
        return self.type in catalogue().sends

    @property
    def state(self) -> ReceivedStatus:
        if not self.from_me:
            return "RECEIVED"
        if self.played_at:
            return "PLAYED"
        if self.read_at:
            return "READ"
        return "RECEIVED" if self.delivered_at else "SENT"


@dataclass(frozen=True, slots=True)
class _Person:
    """What is known of a person or group, by one of their names."""

    asked: str
    lid: str | None
    name: str | None
    picture: str | None


@dataclass(frozen=True, slots=True)
class _OwnPhone:
    phone: str | None


@dataclass(frozen=True, slots=True)
class _Chat:
    """The chat, as its caller names it and as it is listed, and the people of its messages."""

    instance_id: str
    phone: str
    listed_as: str
    own_phone: str | None
    people: Mapping[str, _Person]

    def person(self, name: str | None) -> _Person:
        return self.people.get(name or "", _Person(name or "", None, None, None))


@handlers.handles(ListMessages)
async def list_messages(
    context: ChatMessagesContext, operation: ListMessages
) -> tuple[dict[str, Any], ...]:
    instance_id, database = context.instance.id, context.database
    names = await names_of(database, instance_id, operation.phone)
    rows = await database.fetch_all(
        _Message,
        _LIST_MESSAGES,
        instance_id=instance_id,
        phone=names.chat,
        names=names.every,
        last_message_id=operation.last_message_id,
        limit=operation.amount,
    )
    own = await database.fetch_one(_OwnPhone, _FIND_OWN_PHONE, instance_id=instance_id)
    own_phone = own.phone if own else None
    senders = {row.sender for row in rows if row.sender}
    people = await _people(context, {names.chat, *senders, *filter(None, (own_phone,))})
    chat = _Chat(instance_id, operation.phone, names.chat, own_phone, people)
    sent = {row.message_id: message for row in rows if (message := _sent(row))}
    referred = await context.history.readable(
        instance_id, sorted({id_ for message in sent.values() for id_ in message.referred_ids()})
    )
    payloads = [row.payload for row in rows] + [known.payload for known in referred.values()]
    links = await context.files.links(instance_id, *payloads)
    quoted = {id_: found for id_, known in referred.items() if (found := _linked(known, links))}
    return tuple(
        _shown(chat, row, _callback(chat, row, sent.get(row.message_id), quoted, links))
        for row in rows
    )


async def _people(context: ChatMessagesContext, names: Iterable[str]) -> Mapping[str, _Person]:
    rows = await context.database.fetch_all(
        _Person, _FIND_PEOPLE, instance_id=context.instance.id, names=sorted(names)
    )
    return {row.asked: row for row in rows}


def _sent(stored: _Message | KnownMessage) -> OutgoingMessage | None:
    """Returns a message that the API sent; None for another, and for one that cannot be read."""
    declared = catalogue().sends.get(stored.type)
    if declared is None or isinstance(stored.payload, Unopened):
        return None
    try:
        return declared.model_validate(stored.payload)
    except ValueError as error:  # one row must not fail the page
        report_error(error, component="history", message_type=stored.type)
        return None


def _linked(known: KnownMessage, links: StoredLinks) -> KnownMessage | None:
    """Returns a quoted or forwarded message, with new links; None if it is unreadable."""
    if known.type not in catalogue().sends:
        return replace(known, payload=links.renewed(known.payload))
    return known if _sent(known) else None


def _callback(
    chat: _Chat,
    row: _Message,
    sent: OutgoingMessage | None,
    referred: Mapping[str, KnownMessage],
    links: StoredLinks,
) -> Mapping[str, Any]:
    """Returns the callback of a message, as far as the history knows it."""
    if isinstance(row.payload, Unopened):
        return {**_envelope(chat, row), "error": row.payload.reason}
    if not row.is_from_api:
        return {**_envelope(chat, row), **links.renewed(row.payload)}
    if sent is None:
        return {**_envelope(chat, row), "error": _UNREADABLE}
    files = files_from(row.sent_files)
    context = EchoContext(row.message_id, epoch_ms(row.at), referred, files, links.of_text)
    body = sent_callback_body(sent, context, instance_id=chat.instance_id)
    return orjson.loads(body) if body else _envelope(chat, row)


def _envelope(chat: _Chat, row: _Message) -> dict[str, Any]:
    """Returns the common keys of a callback, without those that the history does not store."""
    callback = ReceivedCallback(
        instance_id=chat.instance_id,
        momment=epoch_ms(row.at),
        phone=chat.phone,
        from_me=row.from_me,
        from_api=row.is_from_api,
        is_group=is_group(chat.listed_as),
        is_newsletter=chat.listed_as.endswith("@newsletter"),
        waiting_message=row.type == WAITING,
        broadcast=chat.listed_as.endswith("-broadcast"),
    )
    shown = callback.model_dump(by_alias=True, exclude_none=True)
    return {key: value for key, value in shown.items() if key not in _UNKNOWN_IN_HISTORY}


def _shown(chat: _Chat, row: _Message, callback: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the names, pictures and state as they are now; the id is that of the row, for paging.

    So the `messageId` of an edit's callback, which is that of the original, moves to
    `referenceMessageId`.
    """
    other = chat.person(chat.listed_as)
    author = chat.person(chat.own_phone if row.from_me else row.sender)
    in_group = is_group(chat.listed_as)
    known = {
        "connectedPhone": chat.own_phone,
        "chatLid": other.lid,
        "chatName": other.name or (None if in_group else chat.listed_as),
        "photo": other.picture,
        "senderName": author.name or author.asked or None,
        "senderLid": author.lid,
        "senderPhoto": author.picture,
        "participantPhone": row.sender if in_group else None,
        "participantLid": author.lid if in_group and row.sender else None,
        "referenceMessageId": callback.get("messageId") if callback.get("isEdit") else None,
    }
    return {
        **callback,
        **{name: value for name, value in known.items() if value is not None},
        "messageId": row.message_id,
        "phone": chat.phone,
        "status": row.state,
    }
