"""What comes in, written to history together with the callback that tells of it."""

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
_KEEP_CHAT = query("history", "keep_chat")
_ACKNOWLEDGE = query("history", "acknowledge")


@dataclass(frozen=True, slots=True)
class Referred:
    """A message another one speaks of; all but the ids are unknown where its month is gone."""

    provider_message_id: str
    message_id: str
    chat: str | None = None
    sender: str | None = None
    from_me: bool | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A row of history."""

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
class Acknowledged:
    """A message that reached a state, news the first time; or one being sent, not yet recorded."""

    message_id: str
    phone: str
    from_me: bool
    is_news: bool
    is_on_its_way: bool


async def find_referred(
    connection: AsyncConnection, instance_id: str, provider_ids: Sequence[str]
) -> Mapping[str, Referred]:
    """The messages by the id the provider knows them under; one we never saw keeps that id."""
    if not provider_ids:
        return {}
    rows = await fetch_all(
        connection, Referred, _FIND_REFERRED, instance_id=instance_id, ids=list(provider_ids)
    )
    unseen = {provider_id: Referred(provider_id, provider_id) for provider_id in provider_ids}
    return (
        unseen
        | {row.message_id: row for row in rows}
        | {row.provider_message_id: row for row in rows}
    )


async def add_received(
    connection: AsyncConnection,
    instance_id: str,
    received: Received,
    *,
    callback_id: uuid.UUID,
    callback: str | None,
) -> None:
    """Keeps what came in, with the callback that tells of it, unless it was here already."""
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
    """For the rest of the transaction: what comes in is from before."""
    await connection.execute(_COUNT_NONE_AS_UNREAD)


async def keep_chat(
    connection: AsyncConnection,
    instance_id: str,
    phone: str,
    *,
    name: str | None,
    unread: int | None,
    last_message_at: datetime,
) -> None:
    """Notes a chat as the phone lists it; what is None stays as it is."""
    await connection.execute(
        _KEEP_CHAT,
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
    await connection.execute(
        _EDIT_CONTENT,
        {
            "instance_id": instance_id,
            "message_id": message_id,
            "payload": Jsonb(dict(content)),
        },
    )


async def acknowledge(
    connection: AsyncConnection,
    instance_id: str,
    provider_ids: Sequence[str],
    *,
    status: str,
    at: datetime,
    by: str | None,
) -> list[Acknowledged]:
    """Notes that messages of one chat reached a state; those of them that we know."""
    return await fetch_all(
        connection,
        Acknowledged,
        _ACKNOWLEDGE,
        instance_id=instance_id,
        provider_ids=list(provider_ids),
        status=status,
        at=at,
        by=by,
    )
