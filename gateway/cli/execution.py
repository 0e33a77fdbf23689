"""Shared by the commands: they read settings, run administration, and ask before deletion."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import typer

from gateway.administration.admin_service import AdminService
from gateway.database.conninfo import check_url
from gateway.environment import PREFIX
from gateway.errors import InvalidRequest
from gateway.observability.error_reports import configure_error_reports
from gateway.observability.logging import configure_logging
from gateway.providers.loading import provider_names
from gateway.runtime.admin import open_admin_service
from gateway.runtime.development import with_development_settings
from gateway.runtime.progress import Progress
from gateway.settings import Settings

Result = TypeVar("Result")


def print_error_line(text: str) -> None:
    typer.echo(text, err=True)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Returns the settings of this process, and configures logs and error reports by them.

    Raises:
        InvalidSettings: a name is unknown or a value is invalid; says which.
    """
    prefixes = [f"{PREFIX}{name.upper()}_" for name in provider_names()]
    settings = Settings.read(environment, foreign_prefixes=prefixes)
    check_url("DATABASE_URL", settings.database.url)
    check_url("GATEWAY_DIRECT_DATABASE_URL", settings.database.direct_url)
    configure_logging(level=settings.observability.log_level, pretty=is_read_by_person(settings))
    configure_error_reports(settings.observability.sentry_dsn, environment=settings.process.env)
    return settings


def read_command_settings() -> tuple[Settings, Mapping[str, str]]:
    """Returns the settings of a command that runs beside a gateway, and their environment.

    They include the development settings that `make run` wrote into the data directory, unless the
    environment contradicts them. A terminal shows that they are used.
    """
    environment, file = with_development_settings(os.environ)
    if file and sys.stderr.isatty() and not os.environ.get("GATEWAY_ENV"):
        print_error_line(f"(with the development settings in {file})")
    return read_settings(environment), environment


def is_read_by_person(settings: Settings) -> bool:
    """Says whether a person reads standard error, and not a program."""
    return settings.observability.log_format == "pretty" or (
        settings.observability.log_format == "auto" and sys.stderr.isatty()
    )


def command_progress() -> Progress:
    """Returns a progress that prints lines on a terminal, and nothing where a program reads it."""
    return Progress(print_error_line if sys.stderr.isatty() else lambda _line: None)


def run_admin(
    work: Callable[[AdminService], Awaitable[Result]], *, needs_secret: bool = True
) -> Result:
    """Runs *work* with the administration service; a gateway may run at the same time.

    Only work that lists or deletes does not need the secret, so an operator who lost it can still
    do that.
    """
    settings, _ = read_command_settings()

    async def run() -> Result:
        async with open_admin_service(
            settings, command_progress(), needs_secret=needs_secret
        ) as admin:
            return await work(admin)

    return asyncio.run(run())


def require_yes(question: str, *, given: bool) -> None:
    """Asks the operator to confirm, unless *given*, which is `--yes`.

    Raises:
        InvalidRequest: there is no terminal to ask on.
        typer.Abort: the operator answered no.
    """
    if given:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest("deletion asks for confirmation, which needs a terminal: add --yes")
    # Ctrl-C must end the question. asyncio's handler would cancel the task, which waits for the
    # answer and does not see it.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        typer.confirm(question, abort=True, err=True)
    finally:
        signal.signal(signal.SIGINT, earlier)
