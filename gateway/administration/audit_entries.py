"""Reads the audit log: pages for callers, and everything as lines of JSON or CSV."""

import csv
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from gateway.administration.audit import AccountContext
from gateway.contract.extensions.account import Act, ListActs
from gateway.contract.handlers import Handlers
from gateway.database.pool import Database
from gateway.database.queries import query

_LIST_ACTS = query("audit", "list_acts")

_ROWS_AT_ONCE: Final = 200  # written in one go, some 3 ms
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_FIRST_ID: Final = 2**63 - 1

AuditFormat = Literal["csv", "jsonl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActFilter:
    """Selects entries; None selects all. `user` and `address` are parts, `since` is included."""

    act: str | None = None
    user: str | None = None
    credential: str | None = None
    address: str | None = None
    instance_id: str | None = None
    outcome: Literal["done", "failed"] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Act:
    id: int
    at: datetime
    instance_id: str | None
    act: str
    address: str | None
    credential: str | None
    user_name: str | None
    outcome: str | None
    details: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditEntries:
    """Reads entries of at most *days* days, the latest first."""

    database: Database
    days: int

    async def page(
        self, account_id: str, where: ActFilter, *, limit: int, offset: int = 0
    ) -> list[Act]:
        rows = await self._rows(account_id, where, limit=limit, offset=offset)
        return [_shown(row) for row in rows]

    async def lines(
        self, account_id: str, where: ActFilter, written: AuditFormat
    ) -> AsyncIterator[bytes]:
        """Yields all entries as lines, in pieces of 200.

        CSV has a line of names first. A cell that a spreadsheet would run as a formula begins with
        an apostrophe.
        """
        if written == "csv":
            yield _csv([list(Act.model_fields)])
        before = _FIRST_ID
        while rows := await self._rows(account_id, where, limit=_ROWS_AT_ONCE, before=before):
            acts = [_shown(row) for row in rows]
            yield _csv(map(_cells, acts)) if written == "csv" else b"".join(map(_line, acts))
            before = rows[-1].id

    async def _rows(
        self,
        account_id: str,
        where: ActFilter,
        *,
        limit: int,
        offset: int = 0,
        before: int = _FIRST_ID,
    ) -> list[_Act]:
        return await self.database.fetch_all(
            _Act,
            _LIST_ACTS,
            account_id=account_id,
            days=self.days,
            before=before,
            limit=limit,
            offset=offset,
            **asdict(where),
        )


handlers = Handlers[AccountContext]()


@handlers.handles(ListActs)
async def list_acts(context: AccountContext, operation: ListActs) -> tuple[Act, ...]:
    entries = AuditEntries(context.audit.database, context.audit.days)
    return tuple(
        await entries.page(
            context.account.id,
            filter_of(operation),
            limit=operation.page_size,
            offset=operation.offset,
        )
    )


def filter_of(operation: ListActs) -> ActFilter:
    """Returns what the operation selects, of all pages."""
    return ActFilter(
        act=operation.act,
        user=operation.user,
        credential=operation.credential,
        address=operation.caller_address,
        instance_id=operation.instance_id,
        outcome=operation.outcome,
        since=operation.since,
        until=operation.until,
    )


def _shown(row: _Act) -> Act:
    return Act(
        at=row.at.astimezone(UTC),
        instance_id=row.instance_id,
        act=row.act,
        address=row.address,
        credential=row.credential,
        user=row.user_name,
        outcome=row.outcome,
        **{"given": {}, "before": {}, "after": {}, **(row.details or {})},
    )


def _line(act: Act) -> bytes:
    return orjson.dumps(act.model_dump(mode="json", by_alias=True)) + b"\n"


def _cells(act: Act) -> list[str]:
    return [_cell(value) for value in act.model_dump(mode="json").values()]


def _cell(value: object) -> str:
    if value is None or value == {}:
        return ""
    text = orjson.dumps(value).decode() if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(rows: Any) -> bytes:  # noqa: ANN401 - rows of texts, as csv takes them
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
