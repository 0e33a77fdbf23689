"""A process that cannot start raises one GatewayError; a crash raises every error."""

import ast
from pathlib import Path
from typing import cast

import pytest

from gateway.errors import StartRefused
from gateway.runtime.service import run_service
from gateway.runtime.supervisor import Supervisor
from gateway.runtime.wiring import Gateway

SOURCE = Path(__file__).parents[3] / "gateway"


class Failing:
    """A gateway that fails to start."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = errors

    async def start(self, _running: Supervisor) -> None:
        raise ExceptionGroup("several", self._errors)


def failing(*errors: Exception) -> Gateway:
    return cast("Gateway", Failing(*errors))


async def test_run_service_gateway_error_is_raised_alone() -> None:
    with pytest.raises(StartRefused, match="the disk is full"):
        await run_service(failing(StartRefused("the disk is full")), drain_seconds=1)


async def test_run_service_crash_raises_every_error() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await run_service(failing(StartRefused("full"), ZeroDivisionError()), drain_seconds=1)

    assert caught.group_contains(StartRefused)
    assert caught.group_contains(ZeroDivisionError)


def test_code_raises_nothing_inside_except_star() -> None:
    """Python 3.11.2, which Debian 12 has, wraps such an error into a group."""
    found = [
        f"{file.name}:{raised.lineno}"
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.TryStar)
        for handler in node.handlers
        for raised in ast.walk(handler)
        if isinstance(raised, ast.Raise)
    ]

    assert found == []
