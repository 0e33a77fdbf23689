"""`gateway accounts`: the accounts whose callers may use the gateway."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.administration.admin_service import AdminService
from gateway.administration.audit_entries import ActFilter, AuditFormat
from gateway.cli.execution import require_yes, run_admin
from gateway.contract.extensions.account import EncryptionRule
from gateway.instances.accounts import ListedAccount
from gateway.instances.creation import NewAccount

accounts = typer.Typer(
    help="Accounts: their tokens and the addresses of their callers.", no_args_is_help=True
)

AccountName = Annotated[str, typer.Argument(help="id or name of the account, in any case")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]


@accounts.command("create")
def create_account(
    name: str,
    *,
    client_token: Annotated[bool, typer.Option(help="require a Client-Token of callers")] = True,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="network whose callers are allowed, such as 203.0.113.0/24"),
    ] = None,
    keep_client_token: Annotated[
        str | None, typer.Option(help="use this Client-Token instead of a new one")
    ] = None,
    keep_partner_token: Annotated[
        str | None, typer.Option(help="use this partner token instead of a new one")
    ] = None,
) -> None:
    """Create an account and print its tokens; they are not shown again."""
    made = run_admin(
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
    """List the accounts with the number of their instances."""
    for account in run_admin(lambda admin: admin.list_accounts(), needs_secret=False):
        token = "Client-Token required" if account.client_token_required else "no Client-Token"
        networks = ", ".join(account.allowed_addresses) or "everywhere"
        typer.echo(f"{account.id}  {account.name}  {_count_of(account)}, {token}, from {networks}")


@accounts.command("allow")
def allow_addresses(
    account: AccountName,
    addresses: Annotated[list[str] | None, typer.Argument(help="addresses or networks")] = None,
) -> None:
    """Allow only these addresses to call; without addresses, allow every address."""
    run_admin(lambda admin: admin.allow(account, addresses or []), needs_secret=False)


@accounts.command("renew-tokens")
def renew_tokens(account: AccountName) -> None:
    """Give an account new tokens; the earlier ones stop working at once."""
    _print_account(run_admin(lambda admin: admin.renew_tokens(account)))


@accounts.command("secret")
def rotate_secret(
    account: AccountName,
    *,
    retire: Annotated[
        bool, typer.Option("--retire", help="end the previous secret instead")
    ] = False,
) -> None:
    """Print a new secret that signs callbacks; the previous one also signs until `--retire`."""
    if retire:
        run_admin(lambda admin: admin.retire_secret(account), needs_secret=False)
    else:
        typer.echo(f"WEBHOOK_SECRET={run_admin(lambda admin: admin.rotate_secret(account))}")


@accounts.command("encryption")
def payload_encryption(
    account: AccountName,
    rule: Annotated[EncryptionRule | None, typer.Argument(help="the new rule")] = None,
) -> None:
    """Show whether the content of messages is encrypted in Postgres, or change that."""
    if rule is not None:
        run_admin(
            lambda admin: admin.set_payload_encryption(account, rule),
            needs_secret=False,
        )
    state = run_admin(lambda admin: admin.payload_encryption_of(account), needs_secret=False)
    source = " by GATEWAY_PAYLOAD_ENCRYPTION" if state.value == "default" else ""
    progress = "every row follows" if state.finished else "stored rows do not all follow yet"
    typer.echo(f"{'on' if state.encrypts else 'off'}{source}, {progress}")
    typer.echo(f"keys in use: {', '.join(state.keys) or 'none'}")
    if state.unopened:
        typer.echo(f"{state.unopened} rows need a key that the gateway does not have")


def export_account(
    account: AccountName,
    folder: Annotated[Path, typer.Argument(help="a new folder, which only you may read")],
    *,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="with the tokens of the instances")
    ] = False,
    files: Annotated[bool, typer.Option("--files", help="with the stored files")] = False,
) -> None:
    """Write an account, its people, messages and files as JSON lines into a folder."""
    counts = run_admin(
        lambda admin: admin.export_account(account, folder, tokens=tokens, files=files)
    )
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()))


@accounts.command("audit")
def export_audit(
    account: AccountName,
    *,
    written: Annotated[
        AuditFormat, typer.Option("--format", help="csv, or jsonl for a JSON object per line")
    ] = "jsonl",
    act: Annotated[str | None, typer.Option(help="only this act, such as PauseQueue")] = None,
    user: Annotated[str | None, typer.Option(help="only users with this text in them")] = None,
    instance: Annotated[str | None, typer.Option(help="only the instance of this id")] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="from this time, UTC")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="before this time, UTC")] = None,
) -> None:
    """Write the audit log of an account to standard output, the latest entry first."""
    where = ActFilter(
        act=act, user=user, instance_id=instance, since=_in_utc(since), until=_in_utc(until)
    )

    async def work(admin: AdminService) -> None:
        async for piece in admin.export_audit(account, where, written):
            sys.stdout.buffer.write(piece)
            sys.stdout.flush()

    run_admin(work, needs_secret=False)


def _in_utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at else None


@accounts.command("delete")
def delete_account(account: AccountName, *, yes: Yes = False) -> None:
    """Delete an account with its instances and all their data; asks for confirmation."""

    async def work(admin: AdminService) -> None:
        found = await admin.find_account(account)
        require_yes(
            f"Delete account {found.name} ({found.id}) with its {_count_of(found)} and "
            "all their data, for good?",
            given=yes,
        )
        await admin.delete_account(found)
        typer.echo(f"{found.id}  {found.name}  deleted")

    run_admin(work, needs_secret=False)


def _count_of(account: ListedAccount) -> str:
    return "1 instance" if account.instances == 1 else f"{account.instances} instances"


def _print_account(made: NewAccount) -> None:
    typer.echo(
        f"ACCOUNT_ID={made.id}\nCLIENT_TOKEN={made.client_token}\nPARTNER_TOKEN={made.partner_token}"
    )
