"""The tables that hold content, and the statements that go through their rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder

from gateway.database.content_declarations import declared_tables
from gateway.database.sealed_columns import (
    BODY,
    BYTES,
    EVENT,
    MESSAGE,
    TEXT,
    Kind,
    kinds_of,
)

_EVERY_ROW: Final = SQL("true")
_NOT_IN_FLIGHT: Final = SQL("status <> 'processing'")


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table whose rows belong to instances.

    Attributes:
        name: with its schema.
        key: the columns that identify a row within its instance, with their types, in the order
            of an index.
        content: the columns that hold content.
        leaves_in_flight: whether rows that a worker sends are left alone; they are in history soon.
    """

    name: tuple[str, str]
    key: Mapping[str, SQL]
    content: Mapping[str, Kind]
    leaves_in_flight: bool = False

    @property
    def condition(self) -> SQL:
        return _NOT_IN_FLIGHT if self.leaves_in_flight else _EVERY_ROW

    def page(self, *, from_start: bool) -> Composed:
        """Returns the statement that reads a page: key texts, row version, content."""
        after = SQL("({key}) > ({values})").format(
            key=_listed(map(_of_table, self.key)),
            values=_listed(
                SQL("{}::text::{}").format(Placeholder(column), kind)
                for column, kind in self.key.items()
            ),
        )
        return SQL(
            "select {texts}, t.xmin::text, {content} from {table} t"
            " where t.instance_id = %(instance_id)s::text and {condition} and {after}"
            " order by {key} limit %(max_count)s::int"
        ).format(
            texts=_listed(SQL("{}::text").format(_of_table(column)) for column in self.key),
            content=_listed(map(_of_table, self.content)),
            table=Identifier(*self.name),
            condition=self.condition,
            after=_EVERY_ROW if from_start else after,
            key=_listed(map(_of_table, self.key)),
        )

    def lock(self) -> Composed:
        """Returns the statement that locks unchanged rows and returns the numbers of those."""
        wanted = SQL(
            "unnest({arrays}) with ordinality as w ({columns}, row_version, page_row)"
        ).format(
            arrays=_listed(
                [
                    *(
                        SQL("{}::text[]::{}[]").format(Placeholder(column), kind)
                        for column, kind in self.key.items()
                    ),
                    SQL("%(versions)s::text[]"),
                ]
            ),
            columns=_listed(map(Identifier, self.key)),
        )
        return SQL(
            "select w.page_row from {wanted}"
            " join {table} t on t.instance_id = %(instance_id)s::text and {same}"
            " where t.xmin::text = w.row_version and {condition}"
            " order by w.page_row for update of t skip locked"
        ).format(
            wanted=wanted,
            table=Identifier(*self.name),
            condition=self.condition,
            same=self._same_key(SQL("t.{column} = w.{column}")),
        )

    def update(self, columns: Iterable[str]) -> Composed:
        """Returns the statement that changes these columns of one row."""
        return SQL(
            "update {table} t set {changes} where t.instance_id = %(instance_id)s::text and {same}"
        ).format(
            table=Identifier(*self.name),
            changes=_listed(
                SQL("{} = {}").format(Identifier(column), Placeholder(f"new_{column}"))
                for column in columns
            ),
            same=SQL(" and ").join(
                SQL("t.{} = {}::text::{}").format(Identifier(column), Placeholder(column), kind)
                for column, kind in self.key.items()
            ),
        )

    def _same_key(self, pair: SQL) -> Composed:
        return SQL(" and ").join(pair.format(column=Identifier(column)) for column in self.key)


def _of_table(column: str) -> Composed:
    """Returns the column with its table: a bare name in `order by` would be the text beside it."""
    return SQL("t.{}").format(Identifier(column))


def _listed(parts: Iterable[Composable]) -> Composed:
    return SQL(", ").join(parts)


_TEXT, _BIGINT, _UUID = SQL("text"), SQL("bigint"), SQL("uuid")
_TIME: Final = SQL("timestamptz")
_TYPES: Final = {"bigint": _BIGINT, "text": _TEXT}
_SENT: Final = {"payload": MESSAGE, "provider_data": BYTES, "error": TEXT, "sent_files": TEXT}

TABLES: Final = (
    SealedTable(
        ("public", "message_queue"),
        {"id": _BIGINT},
        {"payload": MESSAGE, "last_error": TEXT},
        leaves_in_flight=True,
    ),
    SealedTable(("public", "inbox"), {"event_id": _TEXT}, {"body": EVENT}),
    SealedTable(("public", "webhook_dead_letters"), {"id": _UUID}, {"body": BODY}),
    SealedTable(("public", "webhook_events"), {"created_at": _TIME, "id": _UUID}, {"body": BODY}),
    SealedTable(("public", "webhook_outbox"), {"chat": _TEXT, "position": _BIGINT}, {"body": BODY}),
    SealedTable(
        ("public", "further_outbox"),
        {"webhook_id": _UUID, "chat": _TEXT, "position": _BIGINT},
        {"body": BODY},
    ),
    SealedTable(("public", "webhook_deliveries"), {"number": _BIGINT}, {"answer": TEXT}),
    SealedTable(("public", "media"), {"id": _TEXT}, {"file_name": TEXT}),
    SealedTable(("public", "messages"), {"message_id": _TEXT, "recorded_at": _TIME}, _SENT),
    SealedTable(
        ("public", "message_attempts"), {"message_id": _TEXT, "started_at": _TIME}, {"error": TEXT}
    ),
    SealedTable(("public", "chats"), {"phone": _TEXT}, {"note": TEXT}),
    SealedTable(("public", "consents"), {"phone": _TEXT}, {"note": TEXT}),
    SealedTable(("public", "contacts"), {"phone": _TEXT}, {"vname": TEXT}),
    *(
        SealedTable(
            table.name,
            {column: _TYPES[kind] for column, kind in table.key.items()},
            kinds_of(table.content),
        )
        for table in declared_tables()
    ),
)
"""In the order in which a pass goes through them: a row moves from a queue to history, not back."""
