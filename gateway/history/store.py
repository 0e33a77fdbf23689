"""The history of an instance: looked up by our ids, fed by the queue and by what comes in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from gateway.contract.known import KnownMessage
from gateway.database.pool import Database
from gateway.database.queries import query

_FIND_KNOWN = query("history", "find_known")
_ADD_RECEIVED = query("history", "add_received")
_ACKNOWLEDGE = query("history", "acknowledge")
_ON_THEIR_WAY = query("history", "on_their_way")


@dataclass(frozen=True, slots=True)
class _Named:
    message_id: str


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
        from_me: bool,
        at: datetime,
        kind: str,
        payload: Mapping[str, Any],
        provider_data: bytes | None = None,
    ) -> bool:
        """Keeps what came in; False when it was here already."""
        added = await self._database.execute(
            _ADD_RECEIVED,
            instance_id=instance_id,
            message_id=message_id,
            phone=chat,
            sender=sender,
            from_me=from_me,
            at=at,
            type=kind,
            payload=Jsonb(dict(payload)),
            provider_data=provider_data,
        )
        return added > 0

    async def acknowledge(
        self, instance_id: str, provider_ids: Sequence[str], *, status: str, at: datetime
    ) -> list[str]:
        """Notes that messages were delivered, read or played; returns our ids of them."""
        rows = await self._database.fetch_all(
            _Named,
            _ACKNOWLEDGE,
            instance_id=instance_id,
            provider_ids=list(provider_ids),
            status=status,
            at=at,
        )
        return [row.message_id for row in rows]

    async def on_their_way(self, instance_id: str, message_ids: Sequence[str]) -> bool:
        """Whether one of these is being sent and not yet in history."""
        rows = await self._database.fetch_all(
            _Named, _ON_THEIR_WAY, instance_id=instance_id, message_ids=list(message_ids)
        )
        return bool(rows)
