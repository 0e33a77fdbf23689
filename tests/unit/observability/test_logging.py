"""Log lines are JSON, also those of libraries, and hold no secrets."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from gateway.observability.logging import configure_logging


class Log(io.StringIO):
    """A stream that stores its lines."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@contextmanager
def configured(*, level: str = "INFO", pretty: bool = False) -> Iterator[Log]:
    """Configures logging for a block, and restores it afterwards."""
    root, own, before = logging.getLogger(), logging.getLogger("gateway"), structlog.get_config()
    handlers, root_level, own_level = root.handlers[:], root.level, own.level
    log = Log()
    try:
        configure_logging(level=level, pretty=pretty, stream=log)
        structlog.configure(cache_logger_on_first_use=False)  # or it would outlive this block
        yield log
    finally:
        root.handlers[:], root.level = handlers, root_level
        own.setLevel(own_level)
        structlog.configure(**before)


SECRET = "a secret token"  # not in the lines of code that a traceback shows


def fail_with(secret: str) -> None:
    """Fails while a local variable holds a secret."""
    token = secret
    if token:
        raise ValueError("something broke")


def test_log_event_is_one_line_of_json() -> None:
    with configured() as log:
        structlog.get_logger("gateway").info("attempt_ended", instance_id="I", duration_seconds=0.5)

    (line,) = log.lines
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo == UTC
    assert line == {
        "event": "attempt_ended",
        "instance_id": "I",
        "duration_seconds": 0.5,
        "level": "info",
        "logger": "gateway",
    }


@pytest.mark.parametrize(
    "value",
    [
        "two\nlines",
        'quotes " and \\ and \x00',
        "\U0001f600",
        b"bytes",
        {"a", "b"},
        ValueError("an error"),
        datetime(2030, 1, 1, tzinfo=UTC),
        object(),
    ],
)
def test_log_any_value_is_one_valid_line(value: object) -> None:
    with configured() as log:
        structlog.get_logger("gateway").info("odd", value=value)

    (line,) = log.lines
    assert line["event"] == "odd"
    assert "value" in line


@pytest.mark.parametrize("value", ["\ud800", 2**64, {1: "a"}])
def test_log_value_beyond_json_is_one_valid_line(
    value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with configured() as log:
        structlog.get_logger("gateway").info("odd", value=value)

    assert [line["event"] for line in log.lines] == ["odd"]


def test_log_of_libraries_has_the_same_format() -> None:
    with configured() as log:
        logging.getLogger("some.library").warning("%s of %d", "one", 2)

    (line,) = log.lines
    assert (line["event"], line["level"], line["logger"]) == (
        "one of 2",
        "warning",
        "some.library",
    )
    assert "timestamp" in line


@pytest.mark.parametrize("by_gateway", [True, False])
def test_log_traceback_holds_no_local_variables(*, by_gateway: bool) -> None:
    with configured() as log:
        try:
            fail_with(SECRET)
        except ValueError as error:
            if by_gateway:
                structlog.get_logger("gateway").error("unexpected_error", exc_info=error)
            else:
                logging.getLogger("some.library").exception("it failed")

    (line,) = log.lines
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert line["exception"][0]["exc_value"] == "something broke"
    assert line["exception"][0]["frames"][-1]["name"] == "fail_with"
    assert SECRET not in log.getvalue()


def test_pretty_log_traceback_holds_no_local_variables() -> None:
    with configured(pretty=True) as log:
        try:
            fail_with(SECRET)
        except ValueError as error:
            structlog.get_logger("gateway").error("unexpected_error", exc_info=error)

    assert "something broke" in log.getvalue()
    assert SECRET not in log.getvalue()


def test_pretty_log_line_is_not_json() -> None:
    with configured(pretty=True) as log:
        structlog.get_logger("gateway").info("attempt_ended", instance_id="I")
        logging.getLogger("some.library").warning("from a library")

    text = log.getvalue()
    assert "attempt_ended" in text
    assert "instance_id=I" in text
    assert "from a library" in text
    assert "\x1b[" not in text  # no colours where there is no terminal


@pytest.mark.parametrize(
    ("level", "own", "of_libraries"),
    [
        ("DEBUG", ["d", "i", "w"], ["i", "w"]),  # at DEBUG libraries print what they carry
        ("INFO", ["i", "w"], ["i", "w"]),
        ("WARNING", ["w"], ["w"]),
        ("ERROR", [], []),
    ],
)
def test_log_level_of_own_loggers_and_of_libraries(
    level: str, own: list[str], of_libraries: list[str]
) -> None:
    with configured(level=level) as log:
        for logger in (structlog.get_logger("gateway"), logging.getLogger("some.library")):
            logger.debug("d")
            logger.info("i")
            logger.warning("w")

    assert [line["event"] for line in log.lines] == own + of_libraries


@pytest.mark.parametrize("name", ["uvicorn.access", "httpx", "httpcore", "httpcore.connection"])
def test_log_of_request_lines_is_off_even_at_debug(name: str) -> None:
    with configured(level="DEBUG") as log:
        logging.getLogger(name).info("GET /instances/I/token/SECRET/queue 200")

    assert log.getvalue() == ""


def test_log_holds_values_bound_to_the_task() -> None:
    with configured() as log, structlog.contextvars.bound_contextvars(request_id="R"):
        structlog.get_logger("gateway").info("by_gateway")
        logging.getLogger("some.library").warning("theirs")

    assert [line["request_id"] for line in log.lines] == ["R", "R"]
