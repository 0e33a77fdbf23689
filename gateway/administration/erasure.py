"""Deletes what is stored of a person in one transaction: messages, files, callbacks, names."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from psycopg import AsyncConnection

from gateway.administration.erased_content import ErasedNames
from gateway.administration.provider_data import ProviderData
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.sessions.provider import ErasedPerson

_PROVIDER_IDS_OF_PERSON = query("people", "provider_ids_of_person")
_ERASE_PERSON = query("people", "erase_person")
_LOCK_CALLBACKS = query("people", "lock_callbacks")
_ERASE_CALLBACKS = query("people", "erase_callbacks")


@dataclass(frozen=True, slots=True)
class _ProviderId:
    provider_message_id: str


@dataclass(frozen=True, slots=True)
class _ErasedRows:
    queue: int
    messages: int
    media: int
    chats: int
    contacts: int
    identities: int
    idempotency_keys: int
    consents: int


@dataclass(frozen=True, slots=True)
class _ErasedCallbacks:
    callbacks: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases a person, who is given by all their names."""

    database: Database
    provider_data: ProviderData

    async def __call__(self, instance_id: str, names: Sequence[str]) -> dict[str, int]:
        """Erases the person in a transaction of its own; returns the counts of rows, by kind."""
        database = self.database.within(DatabaseDeadline.ERASURE)
        async with database.transaction() as connection:
            return await self.within(connection, instance_id, list(names))

    async def within(
        self, connection: AsyncConnection, instance_id: str, names: list[str]
    ) -> dict[str, int]:
        """Erases the person in the caller's transaction; returns the counts of rows, by kind."""
        messages = await fetch_all(
            connection, _ProviderId, _PROVIDER_IDS_OF_PERSON, instance_id=instance_id, names=names
        )
        person = ErasedPerson(names, [row.provider_message_id for row in messages])
        # Before the next statement, which deletes the messages that have these ids.
        by_provider = await self.provider_data.erase_person(connection, instance_id, person)
        (rows,) = await fetch_all(
            connection,
            _ErasedRows,
            _ERASE_PERSON,
            instance_id=instance_id,
            names=names,
            pattern=ErasedNames(names).pattern,
        )
        await connection.execute(_LOCK_CALLBACKS, {"instance_id": instance_id})
        (callbacks,) = await fetch_all(
            connection,
            _ErasedCallbacks,
            _ERASE_CALLBACKS,
            instance_id=instance_id,
            names=names,
            participants=[
                f'%"participant{key}":"{name}"%' for key in ("Phone", "Lid") for name in names
            ],
        )
        erased = asdict(rows)
        keys = erased.pop("idempotency_keys")
        return {
            **erased,
            "idempotencyKeys": keys,
            **asdict(callbacks),
            "provider": by_provider,
        }
