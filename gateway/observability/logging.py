"""Structured logs: JSON lines, or colours on a terminal.

Events are named in snake_case and carry instance_id, queue_id, message_type, target and
duration_seconds where these are known. Never a token, a message text or a body.
"""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from gateway.observability.repeats import RepeatFilter
from gateway.observability.safe_errors import without_values

logger: structlog.stdlib.BoundLogger = structlog.get_logger("gateway")

_own = logging.getLogger("gateway")


def is_debugging() -> bool:
    """Returns whether DEBUG is logged; cheaper than a call that logs nothing."""
    return _own.isEnabledFor(logging.DEBUG)


# Local variables hold tokens and texts: neither form of a traceback shows them.
_as_dicts = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def _safe_dicts(exc_info: ExcInfo) -> list[dict[str, Any]]:
    stacks = _as_dicts(exc_info)
    for stack in _all_stacks(stacks):
        stack["exc_value"] = without_values(stack["exc_value"], exc_info[1])
    return stacks


def _all_stacks(stacks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for stack in stacks:
        yield stack
        for group in stack.get("exceptions", ()):
            yield from _all_stacks(group)


def _plain_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    rendered = io.StringIO()
    structlog.dev.plain_traceback(rendered, exc_info)
    stream.write(without_values(rendered.getvalue(), exc_info[1]))


_tracebacks = structlog.processors.ExceptionRenderer(_safe_dicts)


def _as_json(_logger: object, _method: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:  # a lone surrogate, a huge number, a key that is not a text
        return json.dumps(event, default=str, skipkeys=True)


def configure_logging(*, level: str, pretty: bool, stream: TextIO = sys.stderr) -> None:
    """Formats the events of the gateway and of libraries alike.

    Libraries log at INFO at most: at DEBUG they print what they carry, such as Kafka's records.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=_plain_traceback
            )
        ]
        if pretty
        else [_tracebacks, _as_json]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.getLevelNamesMapping()[level], logging.INFO))
    _own.setLevel(level)
    # These log request lines, and paths hold tokens.
    for name in ("uvicorn.access", "uvicorn.websocket", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
