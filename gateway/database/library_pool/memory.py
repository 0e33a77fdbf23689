"""Answers without Postgres what a library repeats: one row, read and written again and again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from gateway.database.library_pool.wire import ClientRequest

MAX_ROWS: Final = 200

_Key = tuple[bytes | None, ...]
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class RepeatedStatements:
    """The read and the write of one row of a table, whose rows only their client changes.

    Attributes:
        table: its name, which any other statement that changes it contains.
        read: its parameters are the key of the row.
        write: an upsert; its parameters are the key and one value.
    """

    table: bytes
    read: bytes
    write: bytes

    @classmethod
    def of(cls, repeated: Mapping[str, str]) -> "RepeatedStatements":
        """Returns the statements in *repeated*, which has the names of the attributes."""
        statements = {name: normal(repeated[name].encode()) for name in ("read", "write")}
        return cls(repeated["table"].encode(), statements["read"], statements["write"])


class AnswerMemory:
    """The answers to one client of the library, shared by its connections.

    An answer is remembered only if no connection changed a row between its statement's begin and
    end: the order in which Postgres ran two of them is not known here.
    """

    def __init__(self, repeated: RepeatedStatements | None) -> None:
        """Creates it; without *repeated*, it answers nothing."""
        self._repeated = repeated or _NOTHING
        self._reads: dict[_Key, bytes] = {}
        self._writes: dict[_Key, tuple[_Key, bytes]] = {}
        self._changes = 0

    def answer(self, request: ClientRequest) -> bytes | None:
        """Returns the answer that Postgres would repeat; None if it has to be asked."""
        if request.bound is None or not self._names(request):
            return None
        values, sql = request.bound.values, normal(request.sql)
        if sql == self._repeated.read:
            return self._reads.get(values)
        written = self._writes.get(values[:-1]) if sql == self._repeated.write else None
        return written[1] if written and written[0] == values else None

    def begin(self, request: ClientRequest) -> int:
        """Drops what the statement may change, before it runs; returns a number for `end`."""
        if self.concerns(request):
            self._changes += 1
            if normal(request.sql) == self._repeated.write and request.bound:
                self._reads.pop(request.bound.values[:-1], None)
                self._writes.pop(request.bound.values[:-1], None)
            else:
                self._reads.clear()
                self._writes.clear()
        return self._changes

    def end(self, request: ClientRequest, begun: int, answer: bytes | None) -> None:
        """Remembers the answer of Postgres to a statement, which is committed.

        Args:
            request: the statement.
            begun: what `begin` returned.
            answer: None if the statement failed, or its transaction goes on.
        """
        if not self._names(request):
            return
        is_alone, sql = self._changes == begun, normal(request.sql)
        if sql != self._repeated.read:
            self._changes += 1
        if not is_alone or answer is None or request.bound is None:
            return
        values = request.bound.values
        if sql == self._repeated.read:
            _remember(self._reads, values, answer)
        elif sql == self._repeated.write:
            _remember(self._writes, values[:-1], (values, answer))

    def drop(self) -> None:
        """Drops everything, as a transaction ends that may have changed any row."""
        self._changes += 1
        self._reads.clear()
        self._writes.clear()

    def concerns(self, request: ClientRequest) -> bool:
        """Whether the statement may change a row of the table."""
        return self._names(request) and normal(request.sql) != self._repeated.read

    def _names(self, request: ClientRequest) -> bool:
        return self._repeated.table in request.sql


def _remember(answers: dict[_Key, _Answer], key: _Key, answer: _Answer) -> None:
    if len(answers) >= MAX_ROWS:
        del answers[next(iter(answers))]
    answers[key] = answer


def normal(sql: bytes) -> bytes:
    """Returns the statement in lower case, with single blanks."""
    return b" ".join(sql.split()).lower()


# No statement contains these.
_NOTHING: Final = RepeatedStatements(b"\0", b"\0", b"\0")
