"""`gateway users`: people who sign in."""

import sys
from typing import Annotated

import segno
import typer

from gateway.administration.admin_service import AdminService
from gateway.cli.execution import run_admin
from gateway.contract.scopes import UserRole
from gateway.errors import InvalidRequest
from gateway.users.second_factor import provisioning_url
from gateway.users.store import Language, ListedUser

users = typer.Typer(help="Users who sign in: their roles and passwords.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="e-mail of the user, in any capitals")]


@users.command("create")
def create_user(
    email: Email,
    *,
    role: Annotated[UserRole, typer.Option(help="what the user may do")],
    account: Annotated[
        str | None, typer.Option(help="id or name of the account; none for an operator")
    ] = None,
    name: Annotated[str, typer.Option(help="name of the user; the e-mail by default")] = "",
    language: Annotated[Language, typer.Option(help="language of the pages")] = "pt-BR",
) -> None:
    """Create a user; asks for the password, or reads it from standard input."""
    password = _ask("Password", confirmation=True)

    async def work(admin: AdminService) -> str:
        found = await admin.find_account(account) if account else None
        return await admin.users.create(
            email,
            name=name,
            role=role,
            account_id=found.id if found else None,
            language=language,
            password=password,
        )

    typer.echo(f"USER_ID={run_admin(work)}")


@users.command("list")
def list_users() -> None:
    """List the users with their roles and when each was seen last."""
    for user in run_admin(lambda admin: admin.users.list_all(), needs_secret=False):
        typer.echo(f"{user.id}  {user.email}  {', '.join(_described(user))}")


@users.command("disable")
def disable_user(
    email: Email,
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="allow the user to sign in again instead")
    ] = False,
) -> None:
    """Disable a user: every session ends at once, and no new one begins."""
    run_admin(lambda admin: admin.users.set_disabled(email, disabled=not undo), needs_secret=False)


@users.command("link")
def print_sign_in_link(
    email: Annotated[
        str, typer.Argument(help="e-mail of the user; the first operator by default")
    ] = "",
    *,
    url: Annotated[
        str, typer.Option(help="of the gateway, as a browser on this machine opens it")
    ] = "http://127.0.0.1:8080",
) -> None:
    """Print a link that signs a user in to the panel once, within ten minutes, on this machine."""

    async def work(admin: AdminService) -> str:
        user = await (admin.users.find(email) if email else admin.users.ensure_operator())
        return await admin.links.issue(user.id)

    token = run_admin(work, needs_secret=False)
    typer.echo(f"{url.rstrip('/')}/panel/link/{token}")


@users.command("password")
def set_password(email: Email) -> None:
    """Set the password of a user; every session of the user ends."""
    password = _ask("New password", confirmation=True)
    run_admin(lambda admin: admin.users.set_password(email, password), needs_secret=False)


@users.command("totp")
def set_second_factor(
    email: Email,
    *,
    remove: Annotated[
        bool, typer.Option("--remove", help="sign in with the password alone again")
    ] = False,
) -> None:
    """Give a user a second factor: shows a QR code, and asks for a code of the user's app."""
    if remove:
        run_admin(lambda admin: admin.users.remove_second_factor(email), needs_secret=False)
        return

    async def work(admin: AdminService) -> None:
        user = await admin.users.find(email)
        secret = admin.users.new_second_factor()
        url = provisioning_url(secret, user.email)
        if sys.stdout.isatty():
            segno.make(url).terminal(compact=True)
        typer.echo(f"TOTP_SECRET={secret}\nTOTP_URL={url}")
        sys.stdout.flush()
        await admin.users.set_second_factor(email, secret, _ask("Code of the app", hidden=False))

    run_admin(work)


def _ask(question: str, *, hidden: bool = True, confirmation: bool = False) -> str:
    """Asks on the terminal; without one, reads a line from standard input.

    Raises:
        InvalidRequest: standard input is empty.
    """
    if sys.stdin.isatty():
        answer: str = typer.prompt(
            question, hide_input=hidden, confirmation_prompt=confirmation, err=True
        )
        return answer
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise InvalidRequest(f"{question.lower()}: is read from a terminal or standard input")
    return line


def _described(user: ListedUser) -> list[str]:
    said = [user.role, user.account_name or "all accounts", user.language]
    if not user.has_password:
        said.append("no password")
    if user.has_totp:
        said.append("second factor")
    if user.disabled_at:
        said.append("disabled")
    seen = user.last_seen_at
    return [*said, f"seen {seen:%Y-%m-%d %H:%M}" if seen else "never seen"]
