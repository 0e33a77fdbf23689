"""Answers without Postgres what the library repeats for each message: the identity keys of others.

whatsmeow reads and writes the same identity key for each device at each message: for a text to
one person, four reads and four commits. Only its own client changes the keys of an instance, but
for the erasure of a person; the key that then stays in memory is the one that the person's device
has.
"""

from typing import Final, TypeVar

from gateway.database.library_pool.wire import Request

_TABLE: Final = b"whatsmeow_identity_keys"
_READ: Final = b"select identity from whatsmeow_identity_keys where our_jid=$1 and their_id=$2"
_WRITE: Final = (
    b"insert into whatsmeow_identity_keys (our_jid, their_id, identity) values ($1, $2, $3) "
    b"on conflict (our_jid, their_id) do update set identity=excluded.identity"
)
_MAX_KEYS = 200

_Key = tuple[bytes | None, ...]
_Answer = TypeVar("_Answer")


class IdentityMemory:
    """The answers to one client of the library, shared by its connections.

    An answer is remembered only if no connection changed a key between its statement's begin and
    end: the order in which Postgres ran two of them is not known here.
    """

    def __init__(self) -> None:
        self._reads: dict[_Key, bytes] = {}
        self._writes: dict[_Key, tuple[_Key, bytes]] = {}
        self._changes = 0

    def answer(self, request: Request) -> bytes | None:
        """Returns the answer that Postgres would repeat; None if it has to be asked."""
        if request.bound is None or _TABLE not in request.sql:
            return None
        values, sql = request.bound.values, _normal(request.sql)
        if sql == _READ:
            return self._reads.get(values)
        written = self._writes.get(values[:2]) if sql == _WRITE else None
        return written[1] if written and written[0] == values else None

    def begin(self, request: Request) -> int:
        """Forgets what the statement may change, before it runs; returns a number for `end`."""
        if _TABLE in request.sql and (sql := _normal(request.sql)) != _READ:
            self._changes += 1
            if sql == _WRITE and request.bound:
                self._reads.pop(request.bound.values[:2], None)
                self._writes.pop(request.bound.values[:2], None)
            else:
                self._reads.clear()
                self._writes.clear()
        return self._changes

    def end(self, request: Request, begun: int, answer: bytes | None) -> None:
        """Remembers the answer of Postgres to a statement, which is committed.

        Args:
            request: the statement.
            begun: what `begin` returned.
            answer: None if the statement failed, or its transaction goes on.
        """
        if _TABLE not in request.sql:
            return
        is_alone, sql = self._changes == begun, _normal(request.sql)
        if sql != _READ:
            self._changes += 1
        if not is_alone or answer is None or request.bound is None:
            return
        values = request.bound.values
        if sql == _READ:
            _remember(self._reads, values, answer)
        elif sql == _WRITE:
            _remember(self._writes, values[:2], (values, answer))

    def forget(self) -> None:
        """Forgets everything, as a transaction ends that may have changed any key."""
        self._changes += 1
        self._reads.clear()
        self._writes.clear()

    @staticmethod
    def concerns(request: Request) -> bool:
        """Whether the statement may change a key."""
        return _TABLE in request.sql and _normal(request.sql) != _READ


def _remember(answers: dict[_Key, _Answer], key: _Key, answer: _Answer) -> None:
    if len(answers) >= _MAX_KEYS:
        del answers[next(iter(answers))]
    answers[key] = answer


def _normal(sql: bytes) -> bytes:
    return b" ".join(sql.split()).lower()
