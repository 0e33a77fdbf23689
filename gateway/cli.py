"""The command line: parses and calls, nothing else."""

import asyncio
import json
import os
import sys
from typing import Annotated, Any

import typer

from gateway.contract.catalogue import catalogue
from gateway.contract.openapi import render_openapi
from gateway.contract.postman import render_collection, render_environment
from gateway.database.migrations import migrate as apply_migrations
from gateway.errors import GatewayError
from gateway.observability.error_reports import configure_error_reports, report_error
from gateway.observability.logging import configure_logging
from gateway.providers import provider_names
from gateway.runtime.service import run_service
from gateway.runtime.wiring import Gateway
from gateway.settings import PREFIX, Settings

_REFUSED = 2

cli = typer.Typer(
    help="A self-hosted WhatsApp gateway that speaks Z-API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve() -> None:
    """Run the gateway; it is configured through environment variables."""
    settings = _read_settings()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings))
    except TimeoutError:
        typer.echo(
            "What was under way did not end in time; it is settled at the next start.", err=True
        )
        raise typer.Exit(1) from None


async def _serve(settings: Settings) -> None:
    gateway = Gateway(settings, os.environ, announce=lambda text: typer.echo(text, err=True))
    await run_service(gateway, drain_seconds=settings.drain_seconds)


@cli.command()
def migrate() -> None:
    """Bring the database up to date."""
    settings = _read_settings()
    url = settings.direct_database_url or settings.database_url
    if url is None:
        typer.echo(
            "Set DATABASE_URL; an embedded Postgres is migrated by `gateway serve`.", err=True
        )
        raise typer.Exit(_REFUSED)
    for migration in asyncio.run(apply_migrations(url)):
        typer.echo(f"{migration.number:04} {migration.name}")


@cli.command()
def openapi() -> None:
    """Print the contract as an OpenAPI document."""
    _print_json(render_openapi(catalogue()))


@cli.command()
def postman(
    *,
    environment: Annotated[
        bool, typer.Option("--environment", help="its variables instead")
    ] = False,
) -> None:
    """Print the contract as a Postman collection."""
    _print_json(render_environment() if environment else render_collection(catalogue()))


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _read_settings() -> Settings:
    prefixes = [f"{PREFIX}{name.upper()}_" for name in provider_names()]
    settings = Settings.read(os.environ, foreign_prefixes=prefixes)
    pretty = settings.log_format == "pretty" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    configure_logging(level=settings.log_level, pretty=pretty)
    configure_error_reports(settings.sentry_dsn, environment=settings.env)
    return settings


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not installed on Windows

    return uvloop.new_event_loop  # type: ignore[return-value]


def main() -> None:
    """Entry point: an error we can name is a sentence and exit code 2."""
    try:
        cli()
    except GatewayError as error:
        typer.echo(f"gateway: {error}", err=True)
        sys.exit(_REFUSED)
    except Exception as error:  # noqa: BLE001 - the last place where it can be reported
        report_error(error, component="process", severity="fatal")
        sys.exit(1)
