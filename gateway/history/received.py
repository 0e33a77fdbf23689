"""Writes received messages and receipts to history, together with their callbacks."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from gateway.database.pool import fetch_all
from gateway.database.queries import query

_FIND_REFERRED = query("history", "find_referred")
_ADD_RECEIVED = query("history", "add_received")
_EDIT_CONTENT = query("history", "edit_content")
_COUNT_NONE_AS_UNREAD = query("history", "count_none_as_unread")
_STORE_CHAT = query("history", "store_chat")
_ACKNOWLEDGE = query("history", "acknowledge")


@dataclass(frozen=True, slots=True)
class Referred:
    """A message that another one refers to; if its month was dropped, only the ids are known."""

    provider_message_id: str
    message_id: str
    chat: str | None = None
    sender: str | None = None
    from_me: bool | None = None


@dataclass(frozen=True, slots=True)
class ReceivedRow:
    """A received message as a row of history."""

    message_id: str
    chat: str
    sender: str | None
    sender_name: str | None
    from_me: bool
    at: datetime
    kind: str
    content: Mapping[str, Any]
    provider_data: bytes | None


@dataclass(frozen=True, slots=True)
class StateReached:
    """Messages of one chat reached a state; *by* is the participant who reached it, in a group."""

    instance_id: str
    provider_ids: Sequence[str]
    status: str
    at: datetime
    by: str | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A message that a receipt names, with the phone as its caller wrote it, and its chat.

    `is_news`: the receipt is the first of its kind. `is_in_flight`: the send is not yet recorded,
    because its receipt has overtaken the record. `ordinal` says which receipt named it, and `nth`
    where.
    """

    ordinal: int
    nth: int
    message_id: str
    phone: str
    chat: str
    from_me: bool
    track_id: str | None
    is_news: bool
    is_in_flight: bool


async def find_referred(
    connection: AsyncConnection, instance_id: str, provider_ids: Sequence[str]
) -> Mapping[str, Referred]:
    """Returns messages by the provider's id; an unknown message gets that id as its messageId."""
    if not provider_ids:
        return {}
    rows = await fetch_all(
        connection, Referred, _FIND_REFERRED, instance_id=instance_id, ids=list(provider_ids)
    )
    unknown = {provider_id: Referred(provider_id, provider_id) for provider_id in provider_ids}
    return (
        unknown
        | {row.message_id: row for row in rows}
        | {row.provider_message_id: row for row in rows}
    )


async def add_received(
    connection: AsyncConnection,
    instance_id: str,
    received: ReceivedRow,
    *,
    callback_id: uuid.UUID,
    callback: str | None,
) -> None:
    """Stores a received message and its callback, unless the message is already stored."""
    await connection.execute(
        _ADD_RECEIVED,
        {
            "instance_id": instance_id,
            "message_id": received.message_id,
            "phone": received.chat,
            "sender": received.sender,
            "sender_name": received.sender_name,
            "from_me": received.from_me,
            "at": received.at,
            "type": received.kind,
            "payload": Jsonb(dict(received.content)),
            "provider_data": received.provider_data,
            "callback_id": callback_id,
            "callback": callback,
        },
    )


async def count_none_as_unread(connection: AsyncConnection) -> None:
    """Stops counting unread messages in this transaction, because it stores older messages."""
    await connection.execute(_COUNT_NONE_AS_UNREAD)


async def store_chat(
    connection: AsyncConnection,
    instance_id: str,
    phone: str,
    *,
    name: str | None,
    unread: int | None,
    last_message_at: datetime,
) -> None:
    """Stores a chat as the phone lists it; None leaves a column as it is."""
    await connection.execute(
        _STORE_CHAT,
        {
            "instance_id": instance_id,
            "phone": phone,
            "name": name,
            "unread": unread,
            "last_message_at": last_message_at,
        },
    )


async def edit_content(
    connection: AsyncConnection, instance_id: str, message_id: str, content: Mapping[str, Any]
) -> None:
    """Replaces the content of a received message after an edit."""
    await connection.execute(
        _EDIT_CONTENT,
        {
            "instance_id": instance_id,
            "message_id": message_id,
            "payload": Jsonb(dict(content)),
        },
    )


async def acknowledge(
    connection: AsyncConnection, reached: Sequence[StateReached]
) -> list[list[Acknowledged]]:
    """Notes states, at most one of each instance; returns for each the messages that are known."""
    named = [
        (ordinal, each, provider_id)
        for ordinal, each in enumerate(reached)
        for provider_id in each.provider_ids
    ]
    rows = await fetch_all(
        connection,
        Acknowledged,
        _ACKNOWLEDGE,
        ordinals=[ordinal for ordinal, _, _ in named],
        instance_ids=[each.instance_id for _, each, _ in named],
        provider_ids=[provider_id for _, _, provider_id in named],
        statuses=[each.status for _, each, _ in named],
        ats=[each.at for _, each, _ in named],
        participants=[each.by for _, each, _ in named],
    )
    return [[row for row in rows if row.ordinal == n] for n in range(len(reached))]
