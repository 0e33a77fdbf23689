"""What every command needs: the settings, the database, and a yes before something is deleted."""

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
    """The settings of this process; from now on logs are written as they say.

    Raises:
        InvalidSettings: a name is unknown or a value unusable; says which.
    """
    prefixes = [f"{PREFIX}{name.upper()}_" for name in provider_names()]
    settings = Settings.read(environment, foreign_prefixes=prefixes)
    check_url("DATABASE_URL", settings.database_url)
    check_url("GATEWAY_DIRECT_DATABASE_URL", settings.direct_database_url)
    configure_logging(level=settings.log_level, pretty=is_read_by_person(settings))
    configure_error_reports(settings.sentry_dsn, environment=settings.env)
    return settings


def read_command_settings() -> tuple[Settings, Mapping[str, str]]:
    """The settings, and their environment, of a command beside a gateway.

    What `make run` left in the data directory is added, and said on a terminal, unless the
    environment says otherwise.
    """
    environment, file = with_development_settings(os.environ)
    if file and sys.stderr.isatty() and not os.environ.get("GATEWAY_ENV"):
        print_error_line(f"(with the development settings in {file})")
    return read_settings(environment), environment


def is_read_by_person(settings: Settings) -> bool:
    """Whether what goes to standard error is read by a person, rather than by a program."""
    return settings.log_format == "pretty" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )


def command_progress() -> Progress:
    """Lines on a terminal; else nothing, as only the result of a command matters."""
    return Progress(print_error_line if sys.stderr.isatty() else lambda _line: None)


def in_office(work: Callable[[AdminService], Awaitable[Result]]) -> Result:
    """Runs *work* beside a running gateway, or without one."""
    settings, _ = read_command_settings()

    async def run() -> Result:
        async with open_admin_service(settings, command_progress()) as admin:
            return await work(admin)

    return asyncio.run(run())


def require_yes(question: str, *, given: bool) -> None:
    """Returns once the operator agreed; *given* is `--yes`.

    Raises:
        InvalidRequest: there is nobody to be asked.
        typer.Abort: the answer was no.
    """
    if given:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest("deleting asks first, and here is no terminal: add --yes")
    # asyncio's own handler would only cancel the task, which waits for this answer.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        typer.confirm(question, abort=True, err=True)
    finally:
        signal.signal(signal.SIGINT, earlier)
