"""Callbacks of changes that have no statement of their own to write them with."""

import uuid
from collections.abc import Callable, Sequence

from psycopg import AsyncConnection

from gateway.contract.callbacks import Callback
from gateway.database.pool import Database
from gateway.database.queries import query

_TELL = query("webhooks", "tell")


class Outbox:
    """Writes callbacks down; `told` rings whoever posts them."""

    def __init__(
        self, database: Database, new_uuid: Callable[[], uuid.UUID], told: Callable[[], None]
    ) -> None:
        self._database, self._new_uuid, self.told = database, new_uuid, told

    def new_id(self) -> uuid.UUID:
        return self._new_uuid()

    async def tell(self, chat: str, callbacks: Sequence[tuple[str, Callback]]) -> None:
        """Appends callbacks, each with its type, to one chat of their instance."""
        await self._database.execute(
            _TELL,
            instance_ids=[callback.instance_id for _, callback in callbacks],
            chats=[chat] * len(callbacks),
            types=[kind for kind, _ in callbacks],
            ids=[self._new_uuid() for _ in callbacks],
            bodies=[callback.body() for _, callback in callbacks],
        )
        self.told()

    async def tell_within(
        self, connection: AsyncConnection, instance_id: str, chat: str, kind: str, body: str
    ) -> None:
        """Appends one callback in a transaction of the caller's, who rings `told` after it."""
        await connection.execute(
            _TELL,
            {
                "instance_ids": [instance_id],
                "chats": [chat],
                "types": [kind],
                "ids": [self._new_uuid()],
                "bodies": [body],
            },
        )
