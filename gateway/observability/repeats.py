"""Bounds the log of an outage: a line when it begins, then counts."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_COUNT_EVERY_SECONDS: Final = 30.0
_REPEATED_EVENTS: Final = frozenset({"database_unavailable", "event_delayed", "notifications_lost"})
# The pool of connections logs each attempt to connect, and each connection that it throws away.
_REPEATING_LOGGERS: Final = ("psycopg", "psycopg.pool")
_END: Final = "database_available"

_Key = tuple[str, ...]


@dataclass(slots=True)
class _Repeated:
    logged_at: float
    count: int = 0


class RepeatFilter(logging.Filter):
    """Lets the first record of its kind through, and every 30 seconds one with the count of others.

    A kind is an event of one component, whatever the instance. `database_available` gets what was
    left out until then, and ends the outage of its component.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        """*seconds* is a monotonic clock."""
        super().__init__()
        self._seconds = seconds
        self._repeated: dict[_Key, _Repeated] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        fields: dict[str, Any] = record.msg if isinstance(record.msg, dict) else {}
        if fields.get("event") == _END:
            self._end(record, fields)
            return True
        key = _key_of(record, fields)
        return key is None or self._is_due(key, record)

    def _is_due(self, key: _Key, record: logging.LogRecord) -> bool:
        now, repeated = self._seconds(), self._repeated.get(key)
        if repeated and now < repeated.logged_at + _COUNT_EVERY_SECONDS:
            repeated.count += 1
            return False
        self._repeated[key] = _Repeated(now)
        if repeated and repeated.count:
            _add(record, repeated=repeated.count)
        return True

    def _end(self, record: logging.LogRecord, fields: dict[str, Any]) -> None:
        component = str(fields.get("component"))
        keys: list[_Key] = [(name,) for name in _REPEATING_LOGGERS]
        keys += [(event, component) for event in _REPEATED_EVENTS]
        ended = [self._repeated.pop(key, None) for key in keys]
        if count := sum(repeated.count for repeated in ended if repeated):
            _add(record, repeated=count)


def _key_of(record: logging.LogRecord, fields: dict[str, Any]) -> _Key | None:
    event = fields.get("event")
    if event in _REPEATED_EVENTS:
        return (str(event), str(fields.get("component")))
    is_of_driver = record.name in _REPEATING_LOGGERS and record.levelno == logging.WARNING
    return (record.name,) if is_of_driver else None


def _add(record: logging.LogRecord, *, repeated: int) -> None:
    if isinstance(record.msg, dict):
        record.msg = {**record.msg, "repeated": repeated}
    else:
        record.msg, record.args = f"{record.getMessage()} (repeated {repeated} times)", ()
