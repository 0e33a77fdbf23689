"""The provider's rows in Postgres; each call waits for as long as the database is away.

Once this process has closed its connections, a call raises DatabaseUnavailable.
"""

import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.randomness import RandomBytes
from gateway.sessions.provider import ProviderStore
from gateway.whatsapp_web.session import StoredEvent
from gateway.whatsapp_web.stored_json import stored_text

CREDS = "creds"
_PAUSE_SECONDS = 0.5
_DAYS_OF_SENDS = 7
_DAYS_OF_POLLS = 90
_DAYS_OF_RECEIVED = 30  # so long WhatsApp holds what was not confirmed
_MESSAGE = "Message"
_MAX_ID_LENGTH = 200
_DAYS_OF_UNREADABLE = 30  # time for a version that can read them
_MAX_AT_ONCE = 20  # a page of long ones is parsed in one go
_MAX_DELETED_AT_ONCE = 1_000
_MAX_RESEALED_AT_ONCE = 200

StoredBody = tuple[str, Mapping[str, Any]]
"""Name and body of an event."""

Row = tuple[str, str, str | None]
"""Kind, id and value of a key; it is deleted where the value is None."""


class BaileysStore:
    """The provider's queries. None gives up while the database is away."""

    def __init__(
        self, store: ProviderStore, clock: Clock, random_bytes: RandomBytes = secrets.token_bytes
    ) -> None:
        self._store, self._clock, self._random_bytes = store, clock, random_bytes

    async def raise_fence(self, instance_id: str, epoch: int) -> bool:
        """Refuses writes of older epochs from now on; returns False if a newer one did so."""
        return bool(await self._fetch("raise_fence", instance_id=instance_id, epoch=epoch))

    async def device(self, instance_id: str) -> str | None:
        """Returns the linked device, as `user:device@server`."""
        rows = await self._fetch("find_device", instance_id=instance_id)
        return rows[0]["device"] if rows else None

    async def delete_device(self, instance_id: str) -> None:
        await self._fetch("delete_device", instance_id=instance_id)

    async def keys(self, instance_id: str, kind: str, ids: Sequence[str]) -> dict[str, str]:
        """Returns the readable keys by id, as JSON texts."""
        rows = await self._fetch("find_keys", instance_id=instance_id, kind=kind, ids=list(ids))
        readable = {row["id"]: row["value"] for row in rows if _is_json(row["value"])}
        if len(readable) < len(rows):
            logger.error(
                "key_not_readable",
                instance_id=instance_id,
                kind=kind,
                count=len(rows) - len(readable),
            )
        return readable

    async def key_ids(self, instance_id: str, kind: str) -> list[str]:
        rows = await self._fetch("list_keys", instance_id=instance_id, kind=kind)
        return [row["id"] for row in rows]

    async def reseal_keys(self, instance_id: str, epoch: int) -> None:
        """Puts keys that are sealed under an earlier secret under the present one, in batches.

        One that changes meanwhile, or that no secret opens, stays as it is.
        """
        prefix = self._store.seal_prefix
        kind, id_, count = "", "", 0
        while prefix and (
            rows := await self._fetch(
                "list_stale_keys",
                instance_id=instance_id,
                prefix=prefix,
                after_kind=kind,
                after_id=id_,
                max_count=_MAX_RESEALED_AT_ONCE,
            )
        ):
            kind, id_ = rows[-1]["kind"], rows[-1]["id"]
            readable = [row for row in rows if _is_json(row["value"])]
            written = await self._fetch(
                "reseal_keys",
                instance_id=instance_id,
                epoch=epoch,
                **{
                    f"{name}s": [row[name] for row in readable]
                    for name in ("kind", "id", "version", "value")
                },
            )
            count += len(written)
        if count:
            logger.info("keys_resealed", instance_id=instance_id, count=count)

    async def commit(
        self,
        instance_id: str,
        epoch: int,
        *,
        rows: Sequence[Row] = (),
        events: Sequence[StoredBody] = (),
        device: str | None = None,
    ) -> bool:
        """Writes keys and events in one transaction; returns False if the epoch may not.

        It leaves out copies of messages that were stored before, and their failed decryption.
        """
        events = await self._without_copies(instance_id, events)
        written = [(kind, id_, value) for kind, id_, value in rows if value is not None]
        deleted = [(kind, id_) for kind, id_, value in rows if value is None]
        (row,) = await self._fetch(
            "commit",
            instance_id=instance_id,
            epoch=epoch,
            kinds=[kind for kind, _, _ in written],
            ids=[id_ for _, id_, _ in written],
            values=[value for _, _, value in written],
            deleted_kinds=[kind for kind, _ in deleted],
            deleted_ids=[id_ for _, id_ in deleted],
            # Made once, however often the statement is repeated.
            keys=[self._new_key() for _ in events],
            names=[name for name, _ in events],
            bodies=[stored_text(body) for _, body in events],
            received=[_mark_of(body) for name, body in events if name == _MESSAGE],
            device=device,
        )
        return bool(row["may_write"])

    async def is_stored(self, instance_id: str, message: Mapping[str, Any]) -> bool:
        """Whether the message was stored before; it needs its id and source only."""
        marks = [_mark_of(message)]
        return bool(await self._fetch("find_received", instance_id=instance_id, received=marks))

    async def _without_copies(
        self, instance_id: str, events: Sequence[StoredBody]
    ) -> Sequence[StoredBody]:
        suspects = [_mark_of(body) for name, body in events if _may_be_copy(name, body)]
        if not suspects:
            return events
        rows = await self._fetch("find_received", instance_id=instance_id, received=suspects)
        stored = {row["mark"] for row in rows}
        return [
            (name, body)
            for name, body in events
            if not (_may_be_copy(name, body) and _mark_of(body) in stored)
        ]

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
        """Deletes sends, polls, marks and unreadable events past their retention, in batches."""
        for name, days in (
            ("delete_expired_sends", _DAYS_OF_SENDS),
            ("delete_expired_polls", _DAYS_OF_POLLS),
            ("delete_expired_received", _DAYS_OF_RECEIVED),
            ("delete_expired_secrets", _DAYS_OF_POLLS),
        ):
            while await self._fetch(name, days=days, max_count=_MAX_DELETED_AT_ONCE):
                pass
        while given_up := await self._fetch(
            "delete_unreadable", days=_DAYS_OF_UNREADABLE, max_count=_MAX_DELETED_AT_ONCE
        ):
            logger.error("events_given_up", count=len(given_up))

    def _new_key(self) -> str:
        return str(uuid.UUID(bytes=self._random_bytes(16), version=4))

    async def _fetch(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        while True:
            try:
                return await self._store.fetch(name, **parameters)
            except DatabaseUnavailable as error:
                if error.closed:
                    raise
                logger.warning(
                    "database_unavailable", component="baileys", statement=name, error=str(error)
                )
                await self._clock.sleep(_PAUSE_SECONDS)


def _may_be_copy(name: str, body: Mapping[str, Any]) -> bool:
    return name == "UndecryptableMessage" or (name == _MESSAGE and "IsCopy" in body)


def _mark_of(body: Mapping[str, Any]) -> str:
    """Returns what a message is known by: its id, which its sender chose, in its chat."""
    information = body["Info"]
    source = information["MessageSource"]
    place = orjson.dumps([source.get("Chat"), (source.get("Sender") or {}).get("User")])
    message_id = information["ID"]
    if len(message_id) > _MAX_ID_LENGTH:  # an index holds no text of any length
        message_id = hashlib.sha256(message_id.encode()).hexdigest()
    return f"{message_id} {hashlib.sha256(place).hexdigest()[:16]}"


def _is_json(value: str | None) -> bool:
    """Whether the text is a key: one that no secret opens reads as a sentence."""
    try:
        orjson.loads(value or "")
    except orjson.JSONDecodeError:
        return False
    return True
