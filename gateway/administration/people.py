"""Handlers that erase a person's data, and record whether a person consents to messages."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from gateway.administration.provider_data import ProviderData
from gateway.clock import epoch_ms
from gateway.contract.extensions.contacts import (
    ConsentRecord,
    Erased,
    ErasePerson,
    ForgetConsent,
    ReadConsent,
    RecordConsent,
)
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.identities.people import names_of, names_within
from gateway.instances.store import Instance
from gateway.observability.logging import logger
from gateway.sessions.provider import ErasedPerson

_PROVIDER_IDS_OF_PERSON = query("people", "provider_ids_of_person")
_ERASE_PERSON = query("people", "erase_person")
_LOCK_CALLBACKS = query("people", "lock_callbacks")
_ERASE_CALLBACKS = query("people", "erase_callbacks")
_FIND_CONSENT = query("people", "find_consent")
_RECORD_CONSENT = query("people", "record_consent")
_DELETE_CONSENT = query("people", "delete_consent")


@dataclass(frozen=True, slots=True)
class PeopleContext:
    """What the handlers about people need."""

    database: Database
    provider_data: ProviderData
    instance: Instance


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


@dataclass(frozen=True, slots=True)
class _ErasedCallbacks:
    callbacks: int


@dataclass(frozen=True, slots=True)
class _Consent:
    phone: str
    status: Literal["granted", "revoked"]
    source: str | None
    note: str | None
    at: datetime


handlers = Handlers[PeopleContext]()


@handlers.handles(ErasePerson)
async def erase(context: PeopleContext, operation: ErasePerson) -> Erased:
    """Erases a person. The consent record stays: an opt-out must outlast the erasure."""
    instance_id = context.instance.id
    async with context.database.transaction() as connection:
        names = (await names_within(connection, instance_id, operation.phone)).every
        messages = await fetch_all(
            connection, _ProviderId, _PROVIDER_IDS_OF_PERSON, instance_id=instance_id, names=names
        )
        person = ErasedPerson(names, [row.provider_message_id for row in messages])
        # Before the next statement, which deletes the messages that have these ids.
        by_provider = await context.provider_data.erase_person(connection, instance_id, person)
        (rows,) = await fetch_all(
            connection, _ErasedRows, _ERASE_PERSON, instance_id=instance_id, names=names
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
    erased = asdict(rows) | asdict(callbacks) | {"provider": by_provider}
    logger.info("person_erased", instance_id=instance_id, **erased)
    return Erased(phone=operation.phone, erased=erased)


@handlers.handles(ReadConsent)
async def read_consent(context: PeopleContext, operation: ReadConsent) -> ConsentRecord:
    names = await _names(context, operation.phone)
    row = await context.database.fetch_one(
        _Consent, _FIND_CONSENT, instance_id=context.instance.id, names=names
    )
    if row is None:
        return ConsentRecord(phone=operation.phone, status="unknown")
    return _record(row, operation.phone)


@handlers.handles(RecordConsent)
async def record_consent(context: PeopleContext, operation: RecordConsent) -> ConsentRecord:
    row = await context.database.fetch_one(
        _Consent,
        _RECORD_CONSENT,
        instance_id=context.instance.id,
        phone=operation.phone,
        names=await _names(context, operation.phone),
        status=operation.status,
        source=operation.source,
        note=operation.note,
    )
    assert row is not None
    return _record(row, operation.phone)


@handlers.handles(ForgetConsent)
async def delete_consent(context: PeopleContext, operation: ForgetConsent) -> Value:
    deleted = await context.database.execute(
        _DELETE_CONSENT,
        instance_id=context.instance.id,
        names=await _names(context, operation.phone),
    )
    return Value(value=bool(deleted))


async def _names(context: PeopleContext, phone: str) -> list[str]:
    return (await names_of(context.database, context.instance.id, phone)).every


def _record(row: _Consent, phone: str) -> ConsentRecord:
    return ConsentRecord(
        phone=phone,
        status=row.status,
        source=row.source,
        note=row.note,
        at=epoch_ms(row.at),
    )
