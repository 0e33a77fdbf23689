"""The history of an instance: looked up by our ids, fed by the queue and by what comes in."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from gateway.contract.known import KnownMessage
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query

_FIND_KNOWN = query("history", "find_known")
_ADD_RECEIVED = query("history", "add_received")
_ACKNOWLEDGE = query("history", "acknowledge")
_TELL = query("webhooks", "tell")
_ON_THEIR_WAY = query("history", "on_their_way")


@dataclass(frozen=True, slots=True)
class _Named:
    message_id: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A message that reached a state; news the first time."""

    message_id: str
    phone: str
    from_me: bool
    is_news: bool


class History:
    """Every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(
        self, instance_id: str, message_ids: Sequence[str]
    ) -> Mapping[str, KnownMessage]:
        """Those of the messages we know, by our id."""
        if not message_ids:
            return {}
        rows = await self._database.fetch_all(
            KnownMessage, _FIND_KNOWN, instance_id=instance_id, message_ids=list(message_ids)
        )
        return {row.message_id: row for row in rows}

    async def add_received(
        self,
        instance_id: str,
        *,
        message_id: str,
        chat: str,
        sender: str | None,
        sender_name: str | None,
        from_me: bool,
        at: datetime,
        kind: str,
        payload: Mapping[str, Any],
        provider_data: bytes | None,
        callback_id: uuid.UUID,
        callback: str | None,
    ) -> None:
        """Keeps what came in, with the callback that tells of it, unless it was here already."""
        await self._database.execute(
            _ADD_RECEIVED,
            instance_id=instance_id,
            message_id=message_id,
            phone=chat,
            sender=sender,
            sender_name=sender_name,
            from_me=from_me,
            at=at,
            type=kind,
            payload=Jsonb(dict(payload)),
            provider_data=provider_data,
            callback_id=callback_id,
            callback=callback,
        )

    async def acknowledge(
        self,
        instance_id: str,
        provider_ids: Sequence[str],
        *,
        status: str,
        at: datetime,
        callback_id: uuid.UUID,
        callback_for: Callable[[list[Acknowledged]], tuple[str, str]],
    ) -> bool:
        """Notes that messages of one chat were delivered, read or played, and tells what is new.

        *callback_for* makes the chat and body of the callback. False when none of the messages
        is in history.
        """
        async with self._database.transaction() as connection:
            rows = await fetch_all(
                connection,
                Acknowledged,
                _ACKNOWLEDGE,
                instance_id=instance_id,
                provider_ids=list(provider_ids),
                status=status,
                at=at,
            )
            if news := [row for row in rows if row.is_news and row.from_me]:
                chat, body = callback_for(news)
                await connection.execute(
                    _TELL,
                    {
                        "instance_ids": [instance_id],
                        "chats": [chat],
                        "types": ["MessageStatusCallback"],
                        "ids": [callback_id],
                        "bodies": [body],
                    },
                )
        return bool(rows)

    async def on_their_way(self, instance_id: str, message_ids: Sequence[str]) -> bool:
        """Whether one of these is being sent and not yet in history."""
        rows = await self._database.fetch_all(
            _Named, _ON_THEIR_WAY, instance_id=instance_id, message_ids=list(message_ids)
        )
        return bool(rows)
