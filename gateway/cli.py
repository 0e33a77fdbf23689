"""The command line: parses and calls, nothing else."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from gateway.administration.admin_service import AdminService
from gateway.contract.catalogue import catalogue
from gateway.database.migrations import migrate as apply_migrations
from gateway.database.pool import check_url
from gateway.documents.openapi import render_openapi
from gateway.documents.postman import render_collection, render_environment
from gateway.environment import PREFIX
from gateway.errors import GatewayError, InvalidRequest
from gateway.instances.creation import Kept, NewAccount
from gateway.observability.error_reports import configure_error_reports, report_error
from gateway.observability.logging import configure_logging
from gateway.providers import provider_names
from gateway.runtime.admin import open_admin_service
from gateway.runtime.doctor import examine
from gateway.runtime.readme import renew_file
from gateway.runtime.service import run_service
from gateway.runtime.wiring import Gateway
from gateway.runtime.workers import Workers, end_of_parent
from gateway.settings import Role, Settings

_REFUSED = 2

Result = TypeVar("Result")
cli = typer.Typer(
    help="A self-hosted WhatsApp gateway that speaks Z-API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
accounts = typer.Typer(help="Accounts: who may call.", no_args_is_help=True)
instances = typer.Typer(help="Instances: one for each phone.", no_args_is_help=True)
cli.add_typer(accounts, name="accounts")
cli.add_typer(instances, name="instances")

AccountName = Annotated[str, typer.Argument(help="id or name of the account")]
InstanceId = Annotated[str, typer.Argument(help="id of the instance")]


@cli.command()
def serve(
    *,
    role: Annotated[
        Role | None, typer.Option(help="what this node does; GATEWAY_ROLE by default")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="processes on this machine; GATEWAY_WORKERS by default"),
    ] = None,
    worker: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,
) -> None:
    """Run the gateway; it is configured through environment variables."""
    given = {"GATEWAY_ROLE": role and role.value, "GATEWAY_WORKERS": workers and str(workers)}
    os.environ.update({name: value for name, value in given.items() if value})
    settings = _read_settings()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            if worker is None and settings.workers > 1:
                code = runner.run(Workers(settings, os.environ).run())
            else:
                code = runner.run(_serve(settings, worker))
    except TimeoutError:
        typer.echo(
            "What was under way did not end in time; it is settled at the next start.", err=True
        )
        code = 1
    if code:
        raise typer.Exit(code)


async def _serve(settings: Settings, worker: int | None) -> int:
    await run_service(
        Gateway(settings, os.environ, announce=partial(typer.echo, err=True), worker=worker),
        drain_seconds=settings.drain_seconds,
        parent=end_of_parent() if worker else None,
    )
    return 0


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
def doctor() -> None:
    """Look at everything the gateway needs, and say how to cure what is wrong."""
    try:
        settings = _read_settings()
    except GatewayError as error:
        typer.echo(f"!! settings: {error}")
        raise typer.Exit(1) from None
    if not asyncio.run(_is_well(settings)):
        raise typer.Exit(1)


async def _is_well(settings: Settings) -> bool:
    well = True
    async for finding in examine(settings, os.environ):
        typer.echo(str(finding))
        well = well and finding.cure is None
    return well


@accounts.command("create")
def create_account(
    name: str,
    *,
    client_token: Annotated[bool, typer.Option(help="ask callers for a Client-Token")] = True,
    allow: Annotated[
        list[str] | None, typer.Option(help="network that may call, such as 203.0.113.0/24")
    ] = None,
    keep_client_token: Annotated[
        str | None, typer.Option(help="a Client-Token that clients use already")
    ] = None,
    keep_partner_token: Annotated[
        str | None, typer.Option(help="a partner token that clients use already")
    ] = None,
) -> None:
    """Make an account, and print its tokens, which are never shown again."""
    made = _run_admin(
        lambda admin: admin.create_account(
            name,
            client_token_required=client_token,
            client_token=keep_client_token,
            partner_token=keep_partner_token,
            allowed=allow or [],
        )
    )
    _print_account(made)


@accounts.command("list")
def list_accounts() -> None:
    """Show the accounts, and how many instances each has."""
    for account in _run_admin(lambda admin: admin.list_accounts()):
        asks = "asks for a Client-Token" if account.client_token_required else "no Client-Token"
        where = ", ".join(account.allowed_addresses) or "everywhere"
        typer.echo(
            f"{account.id}  {account.name}  {account.instances} instances, {asks}, from {where}"
        )


@accounts.command("allow")
def allow_addresses(
    account: AccountName,
    addresses: Annotated[list[str] | None, typer.Argument(help="addresses or networks")] = None,
) -> None:
    """Let only these addresses call; without any, let everybody."""
    _run_admin(lambda admin: admin.allow(account, addresses or []))


@accounts.command("renew-tokens")
def renew_tokens(account: AccountName) -> None:
    """Give an account new tokens; its earlier ones end at once."""
    _print_account(_run_admin(lambda admin: admin.renew_tokens(account)))


@accounts.command("secret")
def rotate_secret(
    account: AccountName,
    *,
    retire: Annotated[
        bool, typer.Option("--retire", help="end the one before the current instead")
    ] = False,
) -> None:
    """Print a new secret that signs callbacks; the one before stays valid until it is retired."""
    if retire:
        _run_admin(lambda admin: admin.retire_secret(account))
    else:
        typer.echo(f"WEBHOOK_SECRET={_run_admin(lambda admin: admin.rotate_secret(account))}")


@instances.command("create")
def create_instance(
    name: str,
    *,
    account: Annotated[str | None, typer.Option(help="id or name; the only one by default")] = None,
    provider: Annotated[str | None, typer.Option(help="how it reaches WhatsApp")] = None,
    provider_settings: Annotated[str, typer.Option(help="what the provider asks, as JSON")] = "{}",
    keep_id: Annotated[str | None, typer.Option("--id", help="an id clients use already")] = None,
    token: Annotated[str | None, typer.Option(help="a token clients use already")] = None,
) -> None:
    """Make an instance; with --id and --token, existing clients change nothing but the host."""
    made = _run_admin(
        lambda admin: admin.create_instance(
            name,
            account=account,
            provider=provider,
            provider_settings=_read_object(provider_settings),
            kept=Kept(id=keep_id, token=token),
        )
    )
    typer.echo(f"INSTANCE_ID={made.id}\nINSTANCE_TOKEN={made.token}")


@instances.command("list")
def list_instances(
    account: Annotated[str | None, typer.Option(help="id or name; all by default")] = None,
) -> None:
    """Show the instances, oldest first."""
    for instance in _run_admin(lambda admin: admin.list_instances(account)):
        state = "connected" if instance.connected else "not connected"
        typer.echo(f"{instance.id}  {instance.name}  {instance.provider}, {state}")


@instances.command("delete")
def delete_instance(instance: InstanceId) -> None:
    """Delete an instance and everything of it, for good."""
    _run_admin(lambda admin: admin.delete_instance(instance))


@instances.command("token")
def show_token(instance: InstanceId) -> None:
    """Print the token of an instance."""
    typer.echo(_run_admin(lambda admin: admin.token_of(instance)))


@cli.command("import")
def import_instances(
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(help="what GET /instances of Z-API answered; - reads stdin"),
    ],
    *,
    account: Annotated[str | None, typer.Option(help="id or name; the only one by default")] = None,
    provider: Annotated[str | None, typer.Option(help="how they reach WhatsApp")] = None,
) -> None:
    """Make the instances of a Z-API account, with their ids, tokens, names and webhooks.

    What is there already is left as it is, so that the same file may be imported again.
    """

    async def work(admin: AdminService) -> None:
        async for imported, is_new in admin.import_instances(
            file.read(), account=account, provider=provider
        ):
            typer.echo(f"{imported.id}  {imported.name}  {'made' if is_new else 'was there'}")

    _run_admin(work)


def _run_admin(work: Callable[[AdminService], Awaitable[Result]]) -> Result:
    settings = _read_settings()

    async def run() -> Result:
        async with open_admin_service(settings) as admin:
            return await work(admin)

    return asyncio.run(run())


def _print_account(made: NewAccount) -> None:
    typer.echo(
        f"ACCOUNT_ID={made.id}\nCLIENT_TOKEN={made.client_token}\nPARTNER_TOKEN={made.partner_token}"
    )


def _read_object(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRequest("--provider-settings: must be a JSON object")
    return parsed


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


@cli.command(hidden=True)
def readme(files: list[Path]) -> None:
    """Replace the tables that README.md and the pages in docs/ take from the program."""
    for file in files:
        renew_file(file)


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _read_settings() -> Settings:
    prefixes = [f"{PREFIX}{name.upper()}_" for name in provider_names()]
    settings = Settings.read(os.environ, foreign_prefixes=prefixes)
    check_url("DATABASE_URL", settings.database_url)
    check_url("GATEWAY_DIRECT_DATABASE_URL", settings.direct_database_url)
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

    return uvloop.new_event_loop  # type: ignore[return-value]  # a function, not the class mypy expects


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
