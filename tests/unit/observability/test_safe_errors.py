"""Errors that quote what callers wrote are shown without it."""

from collections.abc import Callable

import pytest
import structlog
from psycopg import errors
from pydantic import BaseModel

from tests.unit.observability.test_logging import configured

TEXT = "quixotic zephyr"


class Numbered(BaseModel):
    number: int


def invalid_value() -> None:
    Numbered.model_validate({"number": TEXT})


def refused_row() -> None:
    raise errors.CheckViolation(f"violates a check\nDETAIL:  Failing row contains ({TEXT}).")


def caused() -> None:
    try:
        invalid_value()
    except ValueError as error:
        raise RuntimeError("the step failed") from error


def in_a_group() -> None:
    try:
        refused_row()
    except errors.CheckViolation as error:
        raise ExceptionGroup("parts failed", [error]) from None


@pytest.mark.parametrize("pretty", [True, False])
@pytest.mark.parametrize("fail", [invalid_value, refused_row, caused, in_a_group])
def test_log_of_an_error_holds_no_value(fail: Callable[[], None], *, pretty: bool) -> None:
    with configured(pretty=pretty) as log:
        try:
            fail()
        except Exception as error:  # noqa: BLE001 - each of them
            structlog.get_logger("gateway").error("unexpected_error", exc_info=error)

    assert "Error" in log.getvalue() or "CheckViolation" in log.getvalue()
    assert TEXT not in log.getvalue()


def test_log_of_an_invalid_value_names_the_field() -> None:
    with configured() as log:
        try:
            invalid_value()
        except ValueError as error:
            structlog.get_logger("gateway").error("unexpected_error", exc_info=error)

    (line,) = log.lines
    assert line["exception"][0]["exc_value"] == "Numbered: number int_parsing"
