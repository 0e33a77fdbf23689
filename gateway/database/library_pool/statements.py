"""Runs the statements of a library on connections of psycopg, below its cursors.

    first, or outside a transaction:   [begin], enter or enter_as_owner, statement, sync
    later in a transaction:            statement, sync

Everything up to the sync is one round trip, and without `begin` one transaction.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, OperationalError, generators
from psycopg.abc import PQGen
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from gateway.database.library_pool.wire import Bound, ClientRequest, is_error
from gateway.database.queries import query

_PARAMETER = re.compile(r"%\(([a-z_]+)\)s")
_READ = re.compile(rb"\s*select\b(?!.*\bfor\s+(update|share|no|key)\b)", re.IGNORECASE | re.DOTALL)
_INSERT = re.compile(rb"\s*insert\b(?!.*\bon\s+conflict\b)", re.IGNORECASE | re.DOTALL)
_SINGLE = re.compile(rb"[^;]*;?\s*")
_BEGIN: Final = b"begin"
_MAX_PREPARED = 200
# Read-only, shutting down, starting, or a pooler's connection without the prepared statement.
_LOST: Final = frozenset({b"25006", b"57P01", b"57P02", b"57P03", b"26000", b"42P05"})

_NOTHING = Bound()

_Prepared = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class SchemaEntry:
    """The statement before a library's own: by which it enters its schema, as the owner or not."""

    sql: bytes
    values: tuple[bytes, ...]


class SchemaEntries:
    """The entries of the clients of one schema, for one lease or for none."""

    def __init__(
        self, schema: str, instance_id: str | None, epoch: int, *, idle_seconds: float
    ) -> None:
        values = {
            "schema": schema,
            "instance_id": instance_id or "",
            "epoch": str(epoch),
            "idle_milliseconds": str(round(1_000 * idle_seconds)),
        }
        self._to_read = _entry("enter", values)
        self._to_write = _entry("enter_as_owner", values) if instance_id else self._to_read

    def of(self, request: ClientRequest) -> SchemaEntry:
        """Returns the entry of a statement outside a transaction."""
        return self._to_read if is_read(request.sql) else self._to_write

    @property
    def of_transaction(self) -> SchemaEntry:
        return self._to_write


def _entry(name: str, values: dict[str, str]) -> SchemaEntry:
    text = str(query("library_pool", name).as_string())
    names = list(dict.fromkeys(_PARAMETER.findall(text)))
    sql = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", text)
    return SchemaEntry(sql.encode(), tuple(values[name].encode() for name in names))


def is_read(sql: bytes) -> bool:
    """Whether the statement changes nothing and locks nothing."""
    return _READ.match(sql) is not None and _SINGLE.fullmatch(sql) is not None


def may_repeat(sql: bytes) -> bool:
    """Whether it has the same effect twice as once: all but an insert that refuses duplicates.

    The library writes absolute values, and one process at a time writes those of an instance.
    """
    return _SINGLE.fullmatch(sql) is not None and _INSERT.match(sql) is None


class Statements:
    """Runs statements on any connection of a pool, and remembers what each has prepared."""

    def __init__(self, *, prepare: bool) -> None:
        """Creates it; *prepare* is False behind a transaction pooler."""
        self._prepare = prepare
        self._seen: set[bytes] = set()
        self._prepared: WeakKeyDictionary[AsyncConnection, _Prepared] = WeakKeyDictionary()

    async def run(
        self,
        connection: AsyncConnection,
        request: ClientRequest,
        entry: SchemaEntry | None = None,
        *,
        begin: bool = False,
    ) -> list[PGresult]:
        """Returns the results of the request, or the one error that ended it.

        Args:
            connection: where it runs.
            request: the library's statement.
            entry: what runs before it, unless it is inside a transaction that has begun.
            begin: whether a transaction begins, and stays open.

        Raises:
            OperationalError: the connection is lost.
        """
        try:
            if request.bound is None and _SINGLE.fullmatch(request.sql) is None:
                results = await self._run_script(connection, request.sql, entry, begin=begin)
            else:
                steps = [_Step(_BEGIN)] if begin else []
                if entry:
                    steps.append(_Step(entry.sql, Bound(entry.values)))
                steps.append(_Step(request.sql, request.bound or _NOTHING))
                results = await self._run_pipeline(connection, steps)
            _raise_where_lost(connection, results)
        except BaseException:
            await connection.close()  # what it still does is unknown; the pool opens another
            raise
        return results

    async def run_together(
        self, connection: AsyncConnection, requests: Sequence[ClientRequest], entry: SchemaEntry
    ) -> list[PGresult]:
        """Runs statements with parameters in one transaction, as `run` does one."""
        steps = [_Step(entry.sql, Bound(entry.values))]
        steps += [_Step(request.sql, request.bound or _NOTHING) for request in requests]
        try:
            results = await self._run_pipeline(connection, steps)
            _raise_where_lost(connection, results)
        except BaseException:
            await connection.close()
            raise
        return results

    async def _run_pipeline(
        self, connection: AsyncConnection, steps: Sequence["_Step"]
    ) -> list[PGresult]:
        """Returns the result of the last step, or the error of an earlier one."""
        server = connection.pgconn
        prepared = self._prepared.setdefault(connection, {})
        created: dict[int, _Step] = {}
        count = 0
        server.enter_pipeline_mode()
        for step in steps:
            name = prepared.get(step.sql)
            if name is None and self._is_worth_preparing(step.sql, prepared):
                name = _name_of(len(prepared) + len(created))
                server.send_prepare(name, step.sql)
                created[count] = step
                count += 1
            values, formats = step.bound.values, step.bound.formats
            if name is None:
                server.send_query_params(step.sql, values, param_formats=formats)
            else:
                server.send_query_prepared(name, values, param_formats=formats)
            count += 1
        server.pipeline_sync()
        results = await connection.wait(_collected(server, count))
        server.exit_pipeline_mode()
        for at, step in created.items():
            if results[at].status == ExecStatus.COMMAND_OK:
                prepared[step.sql] = _name_of(len(prepared))
        return next(([each] for each in results if is_error([each])), results[-1:])

    def _is_worth_preparing(self, sql: bytes, prepared: _Prepared) -> bool:
        if not self._prepare or len(prepared) >= _MAX_PREPARED:
            return False
        if sql in self._seen:
            return True
        if len(self._seen) < _MAX_PREPARED:
            self._seen.add(sql)
        return False

    async def _run_script(
        self, connection: AsyncConnection, script: bytes, entry: SchemaEntry | None, *, begin: bool
    ) -> list[PGresult]:
        """Runs several statements in one go, as the library does to upgrade its tables."""
        if begin:
            await self._run_pipeline(connection, [_Step(_BEGIN)])
        connection.pgconn.send_query(_inlined(entry) + script if entry else script)
        results: list[PGresult] = await connection.wait(generators.execute(connection.pgconn))
        return results[1:] if entry and not is_error(results[:1]) else results


@dataclass(frozen=True, slots=True)
class _Step:
    sql: bytes
    bound: Bound = _NOTHING


def _name_of(number: int) -> bytes:
    return b"library_%d" % number


def _inlined(entry: SchemaEntry) -> bytes:
    sql = entry.sql
    for number, value in enumerate(entry.values, 1):
        sql = sql.replace(b"$%d" % number, b"'%s'" % value.replace(b"'", b"''"))
    return sql + b";"


def _collected(server: PGconn, count: int) -> PQGen[list[PGresult]]:
    """Flushes what was sent, and returns the result of each of *count* commands."""
    yield from generators.send(server)
    results: list[PGresult] = []
    for _ in range(count):
        results += yield from generators.fetch_many(server)
    yield from generators.fetch_many(server)  # the sync
    return results


def _raise_where_lost(connection: AsyncConnection, results: Sequence[PGresult]) -> None:
    """Raises the error by which the server says that this connection serves no longer."""
    states = {each.error_field(DiagnosticField.SQLSTATE) for each in results if is_error([each])}
    if connection.pgconn.status == ConnStatus.BAD or states & _LOST:
        raise OperationalError("Postgres ended the connection, or takes no writes on it")
