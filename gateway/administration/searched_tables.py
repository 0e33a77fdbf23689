"""The tables in which an erased person may be named, and the statement that reads their pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder

from gateway.administration.erased_content import ErasedNames
from gateway.administration.sealed_tables import TABLES, SealedTable
from gateway.database.sealed_columns import BODY, BYTES, TEXT, Kind

_TEXT: Final = SQL("text")
_SEALED: Final = '|"sealed"|sealed:'
"""What every sealed value holds in clear, for the pattern: it must be opened to be searched."""

_STORED_AT: Final[Mapping[tuple[str, str], str]] = {
    ("public", "message_queue"): "created_at",
    ("public", "inbox"): "taken_at",
    ("public", "webhook_dead_letters"): "died_at",
    ("public", "webhook_events"): "created_at",
    ("public", "webhook_outbox"): "created_at",
    ("public", "further_outbox"): "created_at",
    ("public", "webhook_deliveries"): "posted_at",
    ("public", "media"): "created_at",
    ("public", "messages"): "recorded_at",
    ("public", "message_attempts"): "ended_at",
}


@dataclass(frozen=True, slots=True)
class SearchedTable:
    """A table to search.

    Attributes:
        table: its key and content.
        stored_at: the column that says when a row was stored; without it every row is read.
    """

    table: SealedTable
    stored_at: str | None = None

    def page(self, *, from_start: bool) -> Composed:
        """Returns the statement that reads a page: key texts, row version, content.

        Content that cannot name the person is null, so that it is not transferred.
        """
        key = self.table.key
        after = SQL("({key}) > ({values})").format(
            key=_listed([_column(name) for name in key]),
            values=_listed(
                [SQL("{}::text::{}").format(Placeholder(name), kind) for name, kind in key.items()]
            ),
        )
        return SQL(
            "select {texts}, t.xmin::text, {content} from {table} t"
            " where t.instance_id = %(instance_id)s::text and {condition} and {age} and {after}"
            " order by {key} limit %(max_count)s::int"
        ).format(
            texts=_listed([SQL("{}::text").format(_column(name)) for name in key]),
            content=_listed([_suspect(name, kind) for name, kind in self.table.content.items()]),
            table=Identifier(*self.table.name),
            condition=self.table.condition,
            age=self._age(),
            after=SQL("true") if from_start else after,
            key=_listed([_column(name) for name in key]),
        )

    def _age(self) -> Composable:
        if self.stored_at is None:
            return SQL("true")
        return SQL("{} <= %(until_at)s::timestamptz").format(_column(self.stored_at))


def pattern_of(names: ErasedNames) -> str:
    """Returns the regular expression that content matches if it may name the person."""
    return names.pattern + _SEALED


def erased(kind: Kind, names: ErasedNames, value: Any) -> Any:  # noqa: ANN401 - any value
    """Returns opened content of one kind without the person."""
    if kind is BODY:
        try:
            return names.erased_from_json(value).decode()
        except orjson.JSONDecodeError:
            return names.erased_from(value)
    if kind is BYTES:
        try:
            return names.erased_from_json(value)
        except orjson.JSONDecodeError:
            return None if names.are_in(value.decode("latin-1")) else value
    return names.erased_from(value)


def names_in(kind: Kind, names: ErasedNames, value: Any) -> bool:  # noqa: ANN401 - any value
    """Says whether opened content of one kind names the person."""
    if kind not in (BODY, BYTES):
        return names.are_in(value)
    try:
        return names.are_in(orjson.loads(value))
    except orjson.JSONDecodeError:
        return names.are_in(value if kind is BODY else value.decode("latin-1"))


def _suspect(name: str, kind: Kind) -> Composed:
    text = SQL("encode({}, 'escape')") if kind is BYTES else SQL("{}::text")
    return SQL("case when {text} ~ %(pattern)s::text then {column} end").format(
        text=text.format(_column(name)), column=_column(name)
    )


def _column(name: str) -> Composed:
    return SQL("t.{}").format(Identifier(name))


def _listed(parts: Sequence[Composable]) -> Composed:
    return SQL(", ").join(parts)


_PHONE_KEY: Final[Mapping[str, SQL]] = {"phone": _TEXT}
_NAMES: Final = (
    SealedTable(("public", "chats"), _PHONE_KEY, {"name": TEXT}),
    SealedTable(
        ("public", "contacts"),
        _PHONE_KEY,
        {"name": TEXT, "short": TEXT, "notify": TEXT},
    ),
    SealedTable(("public", "consents"), _PHONE_KEY, {"source": TEXT}),
    SealedTable(("public", "identities"), {"lid": _TEXT}, {"name": TEXT}),
    SealedTable(("public", "tags"), {"id": SQL("bigint")}, {"name": TEXT}),
)
"""Names and labels, which are never sealed."""

QUEUE: Final = ("public", "message_queue")

SEARCHED: Final = tuple(
    SearchedTable(table, _STORED_AT.get(table.name)) for table in (*TABLES, *_NAMES)
)
"""In the order in which a pass goes through them: the queue first."""
