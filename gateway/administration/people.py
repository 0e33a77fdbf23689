"""Handlers that erase a person's data, and record whether a person consents to messages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.administration.erased_content import with_both_spellings
from gateway.administration.erasure import Erasure
from gateway.administration.person_search import PersonSearch
from gateway.clock import epoch_ms
from gateway.contract.extensions.contacts import (
    ConsentPage,
    ConsentRecord,
    Erased,
    ErasePerson,
    ForgetConsent,
    ListConsents,
    ReadConsent,
    RecordConsent,
)
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Count, Database
from gateway.database.queries import query
from gateway.identities.people import names_of, names_within
from gateway.instances.store import Instance
from gateway.observability.logging import logger

_FIND_CONSENT = query("people", "find_consent")
_LIST_CONSENTS = query("people", "list_consents")
_COUNT_CONSENTS = query("people", "count_consents")
_RECORD_CONSENT = query("people", "record_consent")
_DELETE_CONSENT = query("people", "delete_consent")


@dataclass(frozen=True, slots=True)
class PeopleContext:
    """What the handlers about people need."""

    database: Database
    erasure: Erasure
    search: PersonSearch
    instance: Instance


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
    """Erases a person, and orders the search in other chats.

    A consent and its time stay: an opt-out must outlast the erasure.
    """
    instance_id = context.instance.id
    database = context.database.within(DatabaseDeadline.ERASURE)
    async with database.transaction() as connection:
        known = await names_within(connection, instance_id, operation.phone)
        names = with_both_spellings(known.every)
        erased = await context.erasure.within(connection, instance_id, names)
        await context.search.add(connection, instance_id, names)
    erased["canceled"] = await context.search.cancel_cards(instance_id, names)
    logger.info("person_erased", instance_id=instance_id, **erased)
    return Erased(phone=operation.phone, erased=erased, searching_other_chats=True)


@handlers.handles(ReadConsent)
async def read_consent(context: PeopleContext, operation: ReadConsent) -> ConsentRecord:
    names = await _names(context, operation.phone)
    row = await context.database.fetch_one(
        _Consent, _FIND_CONSENT, instance_id=context.instance.id, names=names
    )
    if row is None:
        return ConsentRecord(phone=operation.phone, status="unknown")
    return _record(row, operation.phone)


@handlers.handles(ListConsents)
async def list_consents(context: PeopleContext, operation: ListConsents) -> ConsentPage:
    wanted = (operation.query or "").strip()
    of_instance = {
        "instance_id": context.instance.id,
        "status": operation.status,
        "part": ("".join(filter(str.isdecimal, wanted)) or wanted) or None,
    }
    rows = await context.database.fetch_all(
        _Consent,
        _LIST_CONSENTS,
        max_count=operation.page_size,
        offset=operation.offset,
        **of_instance,
    )
    count = await context.database.fetch_one(Count, _COUNT_CONSENTS, **of_instance)
    return ConsentPage(
        consents=tuple(_record(row, row.phone) for row in rows), total=count.count if count else 0
    )


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
