"""`gateway instances` and `gateway import`."""

import json
from typing import Annotated, Any

import typer

from gateway.administration.admin_service import AdminService
from gateway.cli.execution import require_yes, run_admin
from gateway.errors import InvalidRequest
from gateway.instances.creation import ExistingCredentials

instances = typer.Typer(help="Instances: one for each phone.", no_args_is_help=True)

InstanceName = Annotated[str, typer.Argument(help="id or name of the instance, in any case")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]


@instances.command("create")
def create_instance(
    name: str,
    *,
    account: Annotated[str | None, typer.Option(help="id or name; the only one by default")] = None,
    provider: Annotated[str | None, typer.Option(help="provider that connects it")] = None,
    provider_settings: Annotated[
        str, typer.Option(help="settings of the provider, as a JSON object")
    ] = "{}",
    keep_id: Annotated[str | None, typer.Option("--id", help="use this id, not a new one")] = None,
    token: Annotated[str | None, typer.Option(help="use this token, not a new one")] = None,
) -> None:
    """Create an instance; clients keep working with their --id and --token."""
    made = run_admin(
        lambda admin: admin.create_instance(
            name,
            account=account,
            provider=provider,
            provider_settings=_read_object(provider_settings),
            credentials=ExistingCredentials(id=keep_id, token=token),
        )
    )
    typer.echo(f"INSTANCE_ID={made.id}\nINSTANCE_TOKEN={made.token}")


@instances.command("list")
def list_instances(
    account: Annotated[str | None, typer.Option(help="id or name; all by default")] = None,
) -> None:
    """List the instances, oldest first."""
    for instance in run_admin(lambda admin: admin.list_instances(account), needs_secret=False):
        state = "connected" if instance.connected else "not connected"
        typer.echo(f"{instance.id}  {instance.name}  {instance.provider}, {state}")


@instances.command("delete")
def delete_instance(instance: InstanceName, *, yes: Yes = False) -> None:
    """Delete an instance and all its data; asks for confirmation."""

    async def work(admin: AdminService) -> None:
        found = await admin.find_instance(instance)
        require_yes(
            f"Delete instance {found.name} ({found.id}) and all its data, for good?", given=yes
        )
        await admin.delete_instance(found)
        typer.echo(f"{found.id}  {found.name}  deleted")

    run_admin(work, needs_secret=False)


@instances.command("token")
def show_token(instance: InstanceName) -> None:
    """Print the token of an instance."""
    typer.echo(run_admin(lambda admin: admin.token_of(instance)))


def import_instances(
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(help="the JSON that GET /instances of Z-API returned; - reads stdin"),
    ],
    *,
    account: Annotated[str | None, typer.Option(help="id or name; the only one by default")] = None,
    provider: Annotated[str | None, typer.Option(help="provider that connects them")] = None,
) -> None:
    """Create the instances of a Z-API account, with their ids, tokens, names and webhooks.

    Existing instances do not change, so the same file can be imported again.
    """

    async def work(admin: AdminService) -> None:
        async for imported, is_new in admin.import_instances(
            file.read(), account=account, provider=provider
        ):
            typer.echo(f"{imported.id}  {imported.name}  {'made' if is_new else 'was there'}")

    run_admin(work)


def _read_object(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRequest("--provider-settings: must be a JSON object")
    return parsed
