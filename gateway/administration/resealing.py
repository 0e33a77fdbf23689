"""Makes stored content follow the rule of its account: encrypts, decrypts, or changes the key.

A pass goes through every table that holds content, in small transactions that wait for no lock. An
account is finished when a whole pass found nothing to change.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from gateway.administration.sealed_tables import TABLES, SealedTable
from gateway.administration.table_pages import PageRow, read_page, write_page
from gateway.clock import Clock
from gateway.database.payload_seal import PayloadSeal
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.database.sealed_columns import Kind, is_unopened
from gateway.observability.logging import logger

_SET_TARGETS = query("payloads", "set_targets")
_NEXT_ACCOUNT = query("payloads", "next_account")
_LIST_INSTANCES = query("payloads", "list_account_instances")
_STORE_POSITION = query("payloads", "store_position")
_FINISH = query("payloads", "finish")

_ROWS_AT_ONCE = 200
_BUDGET_SECONDS = 2.0
# Nodes drop what they cached about an account within moments of a change.
_GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Account:
    account_id: str
    target: str
    position: Mapping[str, Any] | None
    changed: int
    unopened: int
    started_at: datetime
    pass_at: datetime


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pass goes on: after this key of this instance, in this table."""

    table: int = 0
    instance_id: str = ""
    key: tuple[str, ...] = ()


class _NotOpened(Exception):
    """No key opens a value of the row."""


class Resealing:
    """Goes through the rows of accounts whose rule or key changed; a maintenance task."""

    def __init__(
        self,
        database: Database,
        seal: PayloadSeal,
        clock: Clock,
        *,
        default: bool,
        grace_seconds: float = _GRACE_SECONDS,
        budget_seconds: float = _BUDGET_SECONDS,
    ) -> None:
        """Prepares the task.

        Args:
            database: whose rows it changes.
            seal: the keys.
            clock: time.
            default: the rule of accounts that have none of their own.
            grace_seconds: a pass that began sooner after a change of the rule is not the last.
            budget_seconds: how long one run may take.
        """
        self._database, self._seal, self._clock, self._default = database, seal, clock, default
        self._looking = database.planned_either_way()
        self._grace = timedelta(seconds=grace_seconds)
        self._budget_seconds = budget_seconds

    async def run(self) -> None:
        """Goes on with the passes for as long as one run may take."""
        await self._looking.execute(
            _SET_TARGETS, default=self._default, key_id=self._seal.current_key_id
        )
        stop_at = self._clock.monotonic_seconds() + self._budget_seconds
        while self._clock.monotonic_seconds() < stop_at:
            account = await self._looking.fetch_one(_Account, _NEXT_ACCOUNT)
            if account is None or account.target not in ("", self._seal.current_key_id):
                return
            if not await self._go_on(account, stop_at):
                return

    async def _go_on(self, account: _Account, stop_at: float) -> bool:
        """Goes on with one account; returns False if this run can do no more."""
        rows = await self._database.fetch_all(_Id, _LIST_INSTANCES, account_id=account.account_id)
        instances = sorted(row.id for row in rows)
        place: _Place | None = _Place()
        if account.position:
            stored = account.position
            place = _Place(stored["table"], stored["instance"], tuple(stored["key"]))
        while place and self._clock.monotonic_seconds() < stop_at:
            account, place = await self._page(account, place, instances)
        if place is None:
            return await self._end_pass(account)
        position = {"table": place.table, "instance": place.instance_id, "key": place.key}
        await self._store(account, Jsonb(position))
        return False

    async def _end_pass(self, account: _Account) -> bool:
        if account.changed or account.pass_at < account.started_at + self._grace:
            await self._store(replace(account, changed=0, unopened=0), None, restart=True)
            return False  # the next run begins the next pass
        await self._database.execute(
            _FINISH,
            account_id=account.account_id,
            target=account.target,
            unopened=account.unopened,
        )
        logger.log(
            logging.WARNING if account.unopened else logging.INFO,
            "payloads_resealed",
            account_id=account.account_id,
            encrypted=bool(account.target),
            unopened=account.unopened,
        )
        return True

    async def _store(
        self, account: _Account, position: Jsonb | None, *, restart: bool = False
    ) -> None:
        await self._database.execute(
            _STORE_POSITION,
            account_id=account.account_id,
            target=account.target,
            position=position,
            changed=account.changed,
            unopened=account.unopened,
            pass_at=None if restart else account.pass_at,
            follows=not (account.changed or restart),
        )

    async def _page(
        self, account: _Account, place: _Place, instances: Sequence[str]
    ) -> tuple[_Account, _Place | None]:
        """Works on one page; returns what the pass has done so far, and where it goes on."""
        if place.table == len(TABLES):
            return account, None
        left = [instance_id for instance_id in instances if instance_id >= place.instance_id]
        if not left:
            return account, _Place(place.table + 1)
        table, instance_id = TABLES[place.table], left[0]
        after = place.key if instance_id == place.instance_id else ()
        rows = await read_page(
            self._database,
            table.page(from_start=not after),
            tuple(table.key),
            after,
            instance_id=instance_id,
            max_count=_ROWS_AT_ONCE,
        )
        changes, unopened = self._changes(table, instance_id, rows, account.target)
        if changes and not await write_page(
            self._database, table, instance_id, changes, failure="payloads_not_resealed"
        ):
            changes, unopened = [], unopened + len(changes)
        account = replace(
            account,
            changed=account.changed + len(changes),
            unopened=account.unopened + unopened,
        )
        if len(rows) == _ROWS_AT_ONCE:
            return account, _Place(place.table, instance_id, rows[-1].key)
        return account, _Place(place.table, left[1]) if left[1:] else _Place(place.table + 1)

    def _changes(
        self, table: SealedTable, instance_id: str, rows: Sequence[PageRow], target: str
    ) -> tuple[list[tuple[PageRow, dict[str, Any]]], int]:
        """Returns the new content of each row that is to change, and how many do not open."""
        changes, unopened = [], 0
        for row in rows:
            try:
                new = {
                    column: self._changed(kind, instance_id, value, target)
                    for (column, kind), value in zip(
                        table.content.items(), row.content, strict=True
                    )
                }
            except _NotOpened:
                unopened += 1
                continue
            if any(a is not b for a, b in zip(new.values(), row.content, strict=True)):
                changes.append((row, new))
        return changes, unopened

    def _changed(self, kind: Kind, instance_id: str, value: Any, target: str) -> Any:  # noqa: ANN401 - any value
        """Returns the value under the target key, or plain; the same object if it is so already."""
        if value is None or kind.key_ids(value) <= {target or None}:
            return value
        opened = kind.opened(self._seal, instance_id, value) if kind.is_sealed(value) else value
        if is_unopened(opened):
            raise _NotOpened
        return kind.sealed(self._seal, instance_id, opened) if target else opened
