"""Looks messages up in the history of an instance."""

from collections.abc import Mapping, Sequence

from gateway.contract.known import KnownMessage
from gateway.database.payload_seal import Unopened
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import Conflict

_FIND_KNOWN = query("history", "find_known")


class History:
    """Reads history; every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(
        self, instance_id: str, message_ids: Sequence[str]
    ) -> Mapping[str, KnownMessage]:
        """Returns the messages that are known, by messageId.

        Raises:
            Conflict: no key opens the content of one.
        """
        rows = await self._find(instance_id, message_ids)
        for row in rows:
            if isinstance(row.payload, Unopened):
                raise Conflict(f"Message {row.message_id}: {row.payload.reason}")
        return {row.message_id: row for row in rows}

    async def readable(
        self, instance_id: str, message_ids: Sequence[str]
    ) -> Mapping[str, KnownMessage]:
        """Returns the messages that are known and whose content opens, by messageId."""
        rows = await self._find(instance_id, message_ids)
        return {row.message_id: row for row in rows if not isinstance(row.payload, Unopened)}

    async def _find(self, instance_id: str, message_ids: Sequence[str]) -> list[KnownMessage]:
        if not message_ids:
            return []
        return await self._database.fetch_all(
            KnownMessage, _FIND_KNOWN, instance_id=instance_id, message_ids=list(message_ids)
        )
