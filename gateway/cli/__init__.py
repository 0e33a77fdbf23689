"""The command line: parses arguments and calls the modules that do the work."""

import sys
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli.accounts import accounts, export_account
from gateway.cli.documents import openapi, postman, readme
from gateway.cli.instances import import_instances, instances
from gateway.cli.people import people
from gateway.cli.providers import providers
from gateway.cli.service import doctor, migrate, serve
from gateway.cli.users import users
from gateway.errors import GatewayError
from gateway.observability.error_reports import report_error

_REFUSED = 2

cli = typer.Typer(
    help="A self-hosted WhatsApp gateway that speaks Z-API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(is_wanted: bool) -> None:  # noqa: FBT001 - typer passes it by position
    if is_wanted:
        typer.echo(f"gateway {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="print the version", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    del version  # printed by its callback


for command in (serve, migrate, doctor):
    cli.command()(command)
cli.add_typer(accounts, name="accounts")
cli.add_typer(instances, name="instances")
cli.add_typer(users, name="users")
cli.add_typer(people, name="people")
cli.add_typer(providers, name="providers")
cli.command("import")(import_instances)
cli.command("export")(export_account)
cli.command()(openapi)
cli.command()(postman)
cli.command(hidden=True)(readme)


def main() -> None:
    """Runs a command; a GatewayError becomes one line of text and exit code 2."""
    try:
        cli()
    except GatewayError as error:
        typer.echo(f"gateway: {error}", err=True)
        sys.exit(_REFUSED)
    except Exception as error:  # noqa: BLE001 - no caller above could report it
        report_error(error, component="process", severity="fatal")
        sys.exit(1)
