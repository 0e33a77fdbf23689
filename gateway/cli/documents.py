"""Commands that print or update the documents made from the contract."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.contract.catalogue import catalogue
from gateway.documents.openapi import render_openapi
from gateway.documents.postman import render_collection, render_environment
from gateway.runtime.readme import renew_file


def openapi() -> None:
    """Print the contract as an OpenAPI document."""
    _print_json(render_openapi(catalogue()))


def postman(
    *,
    environment: Annotated[
        bool, typer.Option("--environment", help="print its environment instead")
    ] = False,
) -> None:
    """Print the contract as a Postman collection."""
    _print_json(render_environment() if environment else render_collection(catalogue()))


def readme(files: list[Path]) -> None:
    """Replace the generated tables in README.md and the pages in docs/."""
    for file in files:
        renew_file(file)


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
