"""`gateway accounts`: who may call."""

from typing import Annotated

import typer

from gateway.administration.admin_service import AdminService
from gateway.cli.execution import in_office, require_yes
from gateway.instances.creation import NewAccount

accounts = typer.Typer(help="Accounts: who may call.", no_args_is_help=True)

AccountName = Annotated[str, typer.Argument(help="id or name of the account, in capitals or not")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]


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
    made = in_office(
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
    for account in in_office(lambda admin: admin.list_accounts()):
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
    in_office(lambda admin: admin.allow(account, addresses or []))


@accounts.command("renew-tokens")
def renew_tokens(account: AccountName) -> None:
    """Give an account new tokens; its earlier ones end at once."""
    _print_account(in_office(lambda admin: admin.renew_tokens(account)))


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
        in_office(lambda admin: admin.retire_secret(account))
    else:
        typer.echo(f"WEBHOOK_SECRET={in_office(lambda admin: admin.rotate_secret(account))}")


@accounts.command("delete")
def delete_account(account: AccountName, *, yes: Yes = False) -> None:
    """Delete an account, its instances and everything of them, for good; asks first."""

    async def work(admin: AdminService) -> None:
        found = await admin.find_account(account)
        require_yes(
            f"Delete account {found.name} ({found.id}) with its {found.instances} instances and "
            "everything of them, for good?",
            given=yes,
        )
        await admin.delete_account(found)
        typer.echo(f"{found.id}  {found.name}  deleted")

    in_office(work)


def _print_account(made: NewAccount) -> None:
    typer.echo(
        f"ACCOUNT_ID={made.id}\nCLIENT_TOKEN={made.client_token}\nPARTNER_TOKEN={made.partner_token}"
    )
