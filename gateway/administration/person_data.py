"""Handlers that show what is stored of a person, and how far erasures are."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gateway.administration.erased_content import with_both_spellings
from gateway.administration.export import json_of
from gateway.administration.searched_tables import SEARCHED
from gateway.contract.extensions.person_data import (
    ErasureList,
    ErasureProgress,
    ListErasures,
    PersonData,
    ReadPersonData,
)
from gateway.contract.handlers import Handlers
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import InvalidRequest
from gateway.identities.people import names_of
from gateway.instances.store import Instance

_FIND_CONTACTS = query("person_data", "find_contacts")
_FIND_IDENTITIES = query("person_data", "find_identities")
_FIND_CHATS = query("person_data", "find_chats")
_FIND_CONSENTS = query("person_data", "find_consents")
_FIND_BROADCAST_LISTS = query("person_data", "find_broadcast_lists")
_FIND_QUEUED = query("person_data", "find_queued")
_FIND_MESSAGES = query("person_data", "find_messages")
_FIND_FILES = query("person_data", "find_files")
_LIST_SEARCHES = query("person_searches", "list_searches")

_WRONG_CURSOR: Final = "pagingState: must be the value that the page before returned"
_MAX_QUEUED: Final = 10_000
_FILE_ID = re.compile(rb"[0-9a-f]{64}")
_PASSES: Final = 2  # at least; a later one changes little


@dataclass(frozen=True, slots=True)
class PersonDataContext:
    """What the handlers need."""

    database: Database
    instance: Instance


@dataclass(frozen=True, slots=True)
class _Search:
    names: Sequence[str]
    asked_at: datetime
    pass_number: int
    position: Mapping[str, Any] | None
    changed: int
    canceled: int


handlers = Handlers[PersonDataContext]()


@handlers.handles(ReadPersonData)
async def read_person_data(context: PersonDataContext, operation: ReadPersonData) -> PersonData:
    database = context.database.within(DatabaseDeadline.ERASURE)
    before, before_id = _read_cursor(operation.paging_state)
    instance_id = context.instance.id
    names = await _names(context, operation.phone)
    person: dict[str, Any] = {"instance_id": instance_id, "names": names}
    rows = await database.fetch_dicts(
        _FIND_MESSAGES,
        before=before,
        before_id=before_id,
        limit=operation.page_size + 1,
        **person,
    )
    page, has_more = rows[: operation.page_size], len(rows) > operation.page_size
    messages = [json_of(row) for row in page]
    ids = [found.decode() for found in _FILE_ID.findall(orjson.dumps(messages))]
    lists = await database.fetch_dicts(_FIND_BROADCAST_LISTS, **person)
    return PersonData(
        phone=operation.phone,
        names=tuple(names),
        contacts=_shown(await database.fetch_dicts(_FIND_CONTACTS, **person)),
        identities=_shown(await database.fetch_dicts(_FIND_IDENTITIES, **person)),
        chats=_shown(await database.fetch_dicts(_FIND_CHATS, **person)),
        consents=_shown(await database.fetch_dicts(_FIND_CONSENTS, **person)),
        broadcast_lists=tuple(row["name"] for row in lists),
        queued=_shown(await database.fetch_dicts(_FIND_QUEUED, max_count=_MAX_QUEUED, **person)),
        messages=tuple(messages),
        files=_shown(
            await database.fetch_dicts(_FIND_FILES, instance_id=instance_id, ids=sorted(set(ids)))
        ),
        paging_state=_make_cursor(page[-1]) if has_more else None,
        has_more=has_more,
    )


@handlers.handles(ListErasures)
async def list_erasures(context: PersonDataContext, operation: ListErasures) -> ErasureList:
    names = await _names(context, operation.phone) if operation.phone else None
    return ErasureList(
        erasures=tuple(await erasures_of(context.database, context.instance.id, names))
    )


async def erasures_of(
    database: Database, instance_id: str, names: Sequence[str] | None
) -> list[ErasureProgress]:
    """Returns the running erasures, or only that of the person with one of these names."""
    rows = await database.fetch_all(
        _Search,
        _LIST_SEARCHES,
        instance_id=instance_id,
        names=None if names is None else list(names),
    )
    return [_progress(row) for row in rows]


def _progress(row: _Search) -> ErasureProgress:
    table = row.position["table"] if row.position else 0
    passes = min(row.pass_number, _PASSES) - 1 + table / len(SEARCHED)
    return ErasureProgress(
        names=tuple(row.names),
        since=row.asked_at.astimezone(UTC),
        pass_number=row.pass_number,
        percent=min(99, int(100 * passes / _PASSES)),
        changed=row.changed,
        canceled=row.canceled,
    )


async def _names(context: PersonDataContext, phone: str) -> list[str]:
    known = await names_of(context.database, context.instance.id, phone)
    return with_both_spellings(known.every)


def _shown(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(json_of(row) for row in rows)


def _make_cursor(row: Mapping[str, Any]) -> str:
    text = f"{row['recorded_at'].isoformat()} {row['message_id']}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str | None) -> tuple[datetime | None, str]:
    if not cursor:
        return None, ""
    try:
        time, _, message_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        before = datetime.fromisoformat(time)
    except ValueError:
        raise InvalidRequest(_WRONG_CURSOR) from None
    if before.tzinfo is None or "\x00" in message_id:
        raise InvalidRequest(_WRONG_CURSOR)
    return before, message_id
