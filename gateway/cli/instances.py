"""`gateway instances` and `gateway import`: one instance for each phone."""

import json
from typing import Annotated, Any

import typer

from gateway.administration.admin_service import AdminService
from gateway.cli.execution import in_office, require_yes
from gateway.errors import InvalidRequest
from gateway.instances.creation import ExistingCredentials

instances = typer.Typer(help="Instances: one for each phone.", no_args_is_help=True)

InstanceName = Annotated[str, typer.Argument(help="id or name of the instance, in capitals or not")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]


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
    made = in_office(
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
    """Show the instances, oldest first."""
    for instance in in_office(lambda admin: admin.list_instances(account)):
        state = "connected" if instance.connected else "not connected"
        typer.echo(f"{instance.id}  {instance.name}  {instance.provider}, {state}")


@instances.command("delete")
def delete_instance(instance: InstanceName, *, yes: Yes = False) -> None:
    """Delete an instance and everything of it, for good; asks first."""

    async def work(admin: AdminService) -> None:
        found = await admin.find_instance(instance)
        require_yes(
            f"Delete instance {found.name} ({found.id}) and everything of it, for good?", given=yes
        )
        await admin.delete_instance(found)
        typer.echo(f"{found.id}  {found.name}  deleted")

    in_office(work)


@instances.command("token")
def show_token(instance: InstanceName) -> None:
    """Print the token of an instance."""
    typer.echo(in_office(lambda admin: admin.token_of(instance)))


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
        async for arrival, is_new in admin.import_instances(
            file.read(), account=account, provider=provider
        ):
            typer.echo(f"{arrival.id}  {arrival.name}  {'made' if is_new else 'was there'}")

    in_office(work)


def _read_object(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRequest("--provider-settings: must be a JSON object")
    return parsed
