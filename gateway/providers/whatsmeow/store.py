"""The provider's rows in Postgres; each call waits for as long as the database is away.

Once this process has closed its connections, a call raises DatabaseUnavailable.
"""

import secrets
import uuid
from collections.abc import Sequence
from typing import Any

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.randomness import RandomBytes
from gateway.sessions.provider import ProviderStore
from gateway.whatsapp_web.session import StoredEvent
from gateway.whatsapp_web.stored_json import stored_text

_PAUSE_SECONDS = 0.5
_DAYS_OF_SENDS = 7
_DAYS_OF_POLLS = 90
_DAYS_OF_UNREADABLE = 30  # time for a version that can read them
_MAX_AT_ONCE = 100
_MAX_DELETED_AT_ONCE = 1_000


class Store:
    """The provider's queries. None gives up while the database is away: the event would be lost."""

    def __init__(
        self, store: ProviderStore, clock: Clock, random_bytes: RandomBytes = secrets.token_bytes
    ) -> None:
        self._store, self._clock, self._random_bytes = store, clock, random_bytes

    async def device(self, instance_id: str) -> tuple[str, str] | None:
        """Returns the linked device, and where its keys are: `postgres` or `file`."""
        rows = await self._fetch("find_device", instance_id=instance_id)
        return (rows[0]["device"], rows[0]["key_store"]) if rows else None

    async def add_device(self, instance_id: str, device: str, key_store: str) -> None:
        await self._fetch("add_device", instance_id=instance_id, device=device, key_store=key_store)

    async def delete_device(self, instance_id: str, device: str) -> None:
        await self._fetch("delete_device", instance_id=instance_id, device=device)

    async def add_event(self, instance_id: str, name: str, body: dict[str, Any]) -> None:
        text = stored_text(body)
        # The key is made once, however often the statement is repeated.
        key = uuid.UUID(bytes=self._random_bytes(16), version=4)
        await self._fetch("add_event", instance_id=instance_id, key=key, kind=name, body=text)

    async def events(self, instance_id: str, *, after: int) -> list[StoredEvent]:
        rows = await self._fetch(
            "next_events", instance_id=instance_id, after=after, max_count=_MAX_AT_ONCE
        )
        return [StoredEvent(**row) for row in rows]

    async def delete_event(self, instance_id: str, event_id: int) -> None:
        await self._fetch("delete_event", instance_id=instance_id, id=event_id)

    async def set_event_aside(self, instance_id: str, event_id: int, *, error: str) -> bool:
        """Stores why an event cannot be read; returns False if that was known before."""
        return bool(
            await self._fetch("set_event_aside", instance_id=instance_id, id=event_id, error=error)
        )

    async def add_send(self, instance_id: str, provider_id: str, message_id: str) -> None:
        await self._fetch(
            "add_send",
            instance_id=instance_id,
            provider_message_id=provider_id,
            message_id=message_id,
        )

    async def message_ids(self, instance_id: str, provider_ids: Sequence[str]) -> list[str]:
        """Returns the gateway's id of each message that it sent, WhatsApp's id of each other."""
        rows = await self._fetch(
            "message_ids", instance_id=instance_id, provider_message_ids=list(provider_ids)
        )
        known = {row["provider_message_id"]: row["message_id"] for row in rows}
        return [known.get(provider_id, provider_id) for provider_id in provider_ids]

    async def add_poll(self, instance_id: str, provider_id: str, options: Sequence[str]) -> None:
        await self._fetch(
            "add_poll",
            instance_id=instance_id,
            provider_message_id=provider_id,
            options=list(options),
        )

    async def poll_options(self, instance_id: str, provider_id: str) -> list[str]:
        rows = await self._fetch(
            "poll_options", instance_id=instance_id, provider_message_id=provider_id
        )
        options: list[str] = rows[0]["options"] if rows else []
        return options

    async def delete_expired(self) -> None:
        """Deletes sends, polls and unreadable events past their retention, in batches."""
        for name, days in (
            ("delete_expired_sends", _DAYS_OF_SENDS),
            ("delete_expired_polls", _DAYS_OF_POLLS),
        ):
            while await self._fetch(name, days=days, max_count=_MAX_DELETED_AT_ONCE):
                pass
        while given_up := await self._fetch(
            "delete_unreadable", days=_DAYS_OF_UNREADABLE, max_count=_MAX_DELETED_AT_ONCE
        ):
            logger.error("events_given_up", count=len(given_up))

    async def key_file_owners(self) -> set[str]:
        """Returns the instances whose keys are in a file, on whichever node."""
        return {row["instance_id"] for row in await self._fetch("list_key_file_owners")}

    async def _fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        while True:
            try:
                return await self._store.fetch(name, **parameters)
            except DatabaseUnavailable as error:
                if error.closed:
                    raise
                logger.warning(
                    "database_unavailable",
                    component="whatsmeow",
                    statement=name,
                    error=str(error),
                )
                await self._clock.sleep(_PAUSE_SECONDS)
