"""`gateway people`: what is stored of a person."""

from typing import Annotated

import typer

from gateway.administration.admin_service import AdminService
from gateway.cli.execution import require_yes, run_admin

people = typer.Typer(help="People whose data is stored.", no_args_is_help=True)


@people.command("erase")
def erase_person(
    instance: Annotated[str, typer.Argument(help="id or name of the instance, in any case")],
    phone: Annotated[str, typer.Argument(help="number or lid of the person")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Erase a person, and wait until other chats were searched; asks for confirmation.

    To stop waiting is harmless: a running gateway, or the same command, finishes the search.
    """

    async def work(admin: AdminService) -> None:
        found = await admin.find_instance(instance)
        require_yes(f"Erase {phone} from instance {found.name} ({found.id}), for good?", given=yes)
        shown = 0
        with typer.progressbar(length=100, label="other chats") as bar:
            async for percent in admin.erase_person(found, phone):
                bar.update(max(0, percent - shown))
                shown = max(shown, percent)
        typer.echo(f"{found.id}  {found.name}  person erased")

    run_admin(work)
