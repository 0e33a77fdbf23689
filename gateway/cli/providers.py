"""`gateway providers`: installs what a provider needs beside packages of Python."""

import asyncio
import os
from typing import Annotated

import typer

from gateway.providers.loading import load_provider

providers = typer.Typer(help="The ways to reach WhatsApp.", no_args_is_help=True)


@providers.callback()
def _group() -> None:
    """Keeps `install` a command of its own."""


@providers.command()
def install(
    name: Annotated[str, typer.Argument(help="name of the provider")],
) -> None:
    """Install what a provider needs, in the version that this gateway needs."""
    done = asyncio.run(load_provider(name).install(os.environ))
    typer.echo(f"{name}: {done or 'nothing needs to be installed'}")
