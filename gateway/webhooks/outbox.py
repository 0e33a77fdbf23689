"""Writes the callbacks of changes that have no statement of their own to write them with."""

import uuid
from collections.abc import Callable, Sequence

from psycopg import AsyncConnection

from gateway.contract.callbacks import Callback
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.webhooks.notifier import CallbackNotifier

_ENQUEUE_CALLBACKS = query("webhooks", "enqueue_callbacks")


class Outbox:
    """Appends callbacks to the delivery queue of a chat."""

    def __init__(
        self, database: Database, new_uuid: Callable[[], uuid.UUID], notifier: CallbackNotifier
    ) -> None:
        self._database, self._new_uuid, self.notifier = database, new_uuid, notifier

    def new_id(self) -> uuid.UUID:
        return self._new_uuid()

    async def enqueue(self, chat: str, callbacks: Sequence[tuple[str, Callback]]) -> None:
        """Appends callbacks, each with its type, to one chat of their instance.

        Raises:
            DatabaseUnavailable: they may or may not have been written.
        """
        await self._database.execute(
            _ENQUEUE_CALLBACKS,
            instance_ids=[callback.instance_id for _, callback in callbacks],
            chats=[chat] * len(callbacks),
            types=[kind for kind, _ in callbacks],
            ids=[self._new_uuid() for _ in callbacks],
            bodies=[callback.body() for _, callback in callbacks],
        )
        self.notifier.callbacks_written()

    async def enqueue_within(
        self, connection: AsyncConnection, instance_id: str, chat: str, kind: str, body: str
    ) -> None:
        """Appends one callback in the caller's transaction; the caller notifies after it."""
        await self.enqueue_all_within(connection, [(instance_id, chat, kind, body)])

    async def enqueue_all_within(
        self, connection: AsyncConnection, callbacks: Sequence[tuple[str, str, str, str]]
    ) -> None:
        """Does the same for callbacks with their instance, chat, type and body."""
        await connection.execute(
            _ENQUEUE_CALLBACKS,
            {
                "instance_ids": [instance_id for instance_id, _, _, _ in callbacks],
                "chats": [chat for _, chat, _, _ in callbacks],
                "types": [kind for _, _, kind, _ in callbacks],
                "ids": [self._new_uuid() for _ in callbacks],
                "bodies": [body for _, _, _, body in callbacks],
            },
        )
