"""Takes what callers wrote out of error messages.

Postgres repeats a row that it refused ("Failing row contains (...)") and pydantic the value that it
did not like: messages, phones and tokens. Neither a log nor a report may hold those.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from pydantic import ValidationError

_DATA_EXCEPTION = "22"  # SQLSTATE's class whose messages quote the value


class _Diagnostic(Protocol):
    @property
    def message_primary(self) -> str | None: ...


@runtime_checkable
class _PostgresError(Protocol):
    """A psycopg.Error, by its shape: only gateway.database knows the driver."""

    @property
    def sqlstate(self) -> str | None: ...

    @property
    def diag(self) -> _Diagnostic: ...


def without_values(text: str, error: BaseException | None) -> str:
    """Returns a rendered error without the values that its chain of errors quotes.

    Args:
        text: a traceback, or one message of it.
        error: the error at the top of the chain.
    """
    for each in _chain(error, set()):
        if (instead := _safe_message(each)) is not None:
            text = _replaced(text, str(each), instead)
    return text


def _replaced(text: str, shown: str, instead: str) -> str:
    if shown in text:
        return text.replace(shown, instead)
    # A traceback of a group indents each line, so that only single lines are found again.
    for line in filter(str.strip, shown.splitlines()):
        text = text.replace(line, instead)
        instead = "..."
    return text


def _safe_message(error: BaseException) -> str | None:
    """Returns what stands for a message that quotes values; None for any other error."""
    if isinstance(error, ValidationError):
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        return f"{error.title}: " + "; ".join(
            f"{'.'.join(map(str, fault['loc']))} {fault['type']}" for fault in faults
        )
    if isinstance(error, _PostgresError):
        primary = error.diag.message_primary or next(iter(str(error).splitlines()), "")
        if error.sqlstate is None:  # psycopg's own words
            return primary
        quotes_a_value = error.sqlstate.startswith(_DATA_EXCEPTION)
        return f"SQLSTATE {error.sqlstate}" + ("" if quotes_a_value else f": {primary}")
    return None


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _chain(each, seen)
    yield from _chain(error.__cause__, seen)
    yield from _chain(error.__context__, seen)
