"""What the provider keeps in Postgres, and how long it waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.sessions.provider import ProviderStore

_PAUSE_SECONDS = 0.5
_DAYS_OF_SENDS = 7
_DAYS_OF_POLLS = 90
_MAX_AT_ONCE = 100
_MAX_FORGOTTEN_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """Something that happened, as the library told it."""

    id: int
    at: datetime
    name: str
    body: dict[str, Any]


class Store:
    """No method gives up while the database is away: what is not kept would be lost."""

    def __init__(self, store: ProviderStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def device(self, instance_id: str) -> tuple[str, str] | None:
        """The linked device, and where its keys are kept."""
        rows = await self._fetch("find_device", instance_id=instance_id)
        return (rows[0]["device"], rows[0]["kept_in"]) if rows else None

    async def add_device(self, instance_id: str, device: str, kept_in: str) -> None:
        await self._fetch("add_device", instance_id=instance_id, device=device, kept_in=kept_in)

    async def forget_device(self, instance_id: str, device: str) -> None:
        await self._fetch("forget_device", instance_id=instance_id, device=device)

    async def add_event(self, instance_id: str, name: str, body: dict[str, Any]) -> None:
        text = orjson.dumps(body).decode()
        if "\\u0000" in text:  # Postgres cannot keep it
            text = orjson.dumps(_without_nul(body)).decode()
        await self._fetch("add_event", instance_id=instance_id, kind=name, body=text)

    async def events(self, instance_id: str, *, after: int) -> list[KeptEvent]:
        rows = await self._fetch(
            "next_events", instance_id=instance_id, after=after, max_count=_MAX_AT_ONCE
        )
        return [KeptEvent(**row) for row in rows]

    async def forget_event(self, instance_id: str, event_id: int) -> None:
        await self._fetch("forget_event", instance_id=instance_id, id=event_id)

    async def add_send(self, instance_id: str, provider_id: str, message_id: str) -> None:
        await self._fetch(
            "add_send",
            instance_id=instance_id,
            provider_message_id=provider_id,
            message_id=message_id,
        )

    async def our_ids(self, instance_id: str, provider_ids: Sequence[str]) -> list[str]:
        """Our id of each message we sent, WhatsApp's of the others."""
        rows = await self._fetch(
            "our_ids", instance_id=instance_id, provider_message_ids=list(provider_ids)
        )
        ours = {row["provider_message_id"]: row["message_id"] for row in rows}
        return [ours.get(provider_id, provider_id) for provider_id in provider_ids]

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

    async def forget_what_is_old(self) -> None:
        for name, days in (
            ("forget_old_sends", _DAYS_OF_SENDS),
            ("forget_old_polls", _DAYS_OF_POLLS),
        ):
            while await self._fetch(name, days=days, max_count=_MAX_FORGOTTEN_AT_ONCE):
                pass

    async def _fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        while True:
            try:
                return await self._store.fetch(name, **parameters)
            except DatabaseUnavailable as error:
                logger.warning("whatsmeow_waits_for_database", statement=name, error=str(error))
                await self._clock.sleep(_PAUSE_SECONDS)


def _without_nul(value: Any) -> Any:  # noqa: ANN401 - JSON is what it is
    match value:
        case str():
            return value.replace("\0", "")
        case dict():
            return {key: _without_nul(item) for key, item in value.items()}
        case list():
            return [_without_nul(item) for item in value]
        case _:
            return value
