"""`gateway serve`, `migrate` and `doctor`."""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from gateway.cli.execution import (
    command_progress,
    is_read_by_person,
    print_error_line,
    read_command_settings,
    read_settings,
)
from gateway.database.functions import SqlFunction
from gateway.database.migrations import Migration
from gateway.database.migrations import migrate as apply_migrations
from gateway.errors import GatewayError
from gateway.runtime.doctor import examine
from gateway.runtime.postgres import postgres_of
from gateway.runtime.progress import Progress
from gateway.runtime.service import run_service
from gateway.runtime.wiring import Gateway
from gateway.runtime.workers import Workers, end_of_parent
from gateway.settings import Settings
from gateway.settings.node_sections import Role

_FIRST_WORKER = 1


def serve(
    *,
    role: Annotated[
        Role | None, typer.Option(help="work of this node; GATEWAY_ROLE by default")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="processes on this machine; GATEWAY_WORKERS by default"),
    ] = None,
    worker: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,
) -> None:
    """Run the gateway; environment variables configure it."""
    given = {"GATEWAY_ROLE": role and role.value, "GATEWAY_WORKERS": workers and str(workers)}
    os.environ.update({name: value for name, value in given.items() if value})
    settings = read_settings(os.environ)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            if worker is None and settings.process.workers > 1:
                code = runner.run(Workers(settings, os.environ, _progress(settings, worker)).run())
            else:
                code = runner.run(_serve(settings, worker))
    except TimeoutError:
        typer.echo(
            "The gateway stopped before all its work ended; the next start completes it.", err=True
        )
        code = 1
    if code:
        raise typer.Exit(code)


async def _serve(settings: Settings, worker: int | None) -> int:
    await run_service(
        Gateway(
            settings,
            os.environ,
            announce=print_error_line,
            invite=print_error_line if is_read_by_person(settings) else None,
            progress=_progress(settings, worker),
            worker=worker,
        ),
        drain_seconds=settings.process.drain_seconds,
        parent=end_of_parent() if worker else None,
    )
    return 0


def _progress(settings: Settings, worker: int | None) -> Progress:
    """Returns a progress that prints lines for a person, or writes to the log for a program.

    Of several workers only the first prints.
    """
    if is_read_by_person(settings) and worker in {None, _FIRST_WORKER}:
        return Progress(print_error_line)
    return Progress()


def migrate() -> None:
    """Bring the database up to date."""
    settings, _ = read_command_settings()
    for applied in asyncio.run(_migrate(settings)):
        typer.echo(applied.label)


async def _migrate(settings: Settings) -> list[Migration | SqlFunction]:
    progress = command_progress()
    async with postgres_of(settings, progress) as url:
        return await apply_migrations(
            settings.database.direct_url or url, announce=progress.migrations_started
        )


def doctor() -> None:
    """Check everything the gateway needs, and say how to cure each problem."""
    try:
        settings, environment = read_command_settings()
    except GatewayError as error:
        typer.echo(f"!! settings: {error}")
        raise typer.Exit(1) from None
    logging.disable(logging.CRITICAL)  # the findings say all of it, in order
    if not asyncio.run(_is_healthy(settings, environment)):
        raise typer.Exit(1)


async def _is_healthy(settings: Settings, environment: Mapping[str, str]) -> bool:
    healthy = True
    async for finding in examine(settings, environment, command_progress()):
        typer.echo(str(finding))
        healthy = healthy and (finding.cure is None or finding.is_warning)
    return healthy


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not installed on Windows

    return uvloop.new_event_loop  # type: ignore[return-value]  # a function, not the class mypy expects
