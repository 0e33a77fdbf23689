"""The tables of README.md that the program itself knows best."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import gateway.runtime.wiring  # noqa: F401 - with it come all rooms that answer
from gateway.api.provider_table import provider_table
from gateway.contract.catalogue import catalogue
from gateway.contract.handlers import Handlers
from gateway.documents.surface import surface, title_of
from gateway.environment import PREFIX, variable_name
from gateway.providers import load_provider, provider_names
from gateway.settings import Settings


def renew(readme: str) -> str:
    """The text, with each table between `<!-- name -->` and `<!-- /name -->` made anew."""
    for name, table in _TABLES.items():
        before, begin, rest = readme.partition(f"<!-- {name} -->\n")
        _stale, end, after = rest.partition(f"<!-- /{name} -->")
        readme = "".join(
            [before, begin, "\n", *(f"{line}\n" for line in table()), "\n", end, after]
        )
    return readme


def renew_file(path: Path) -> None:
    path.write_text(renew(path.read_text()))


def _settings() -> Iterator[str]:
    yield "| variable | default | what it does |"
    yield "| --- | --- | --- |"
    yield from _variables(Settings, PREFIX)
    for name in provider_names():
        yield from _variables(load_provider(name).settings, f"{PREFIX}{name.upper()}_")


def _variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for field, info in model.model_fields.items():
        shown = _shown(info.default)
        yield f"| `{variable_name(field, prefix)}` | {shown} | {info.description} |"


def _shown(default: object) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    return f"`{default}`"


def _coverage() -> Iterator[str]:
    """A row per subject: its routes, and those that each provider can do."""
    providers = offers()["providers"]
    supported = {(o["method"], o["path"]): o["supportedBy"] for o in offers()["operations"]}
    routes, done = Counter[str](), Counter[tuple[str, str]]()
    for entry in surface(catalogue()):
        if entry.main is None:
            routes[entry.subject] += 1
            able = supported.get((entry.method, entry.path), providers)  # else the gateway's own
            done.update((entry.subject, name) for name in able)
    yield f"| domain | routes | {' | '.join(providers)} |"
    yield f"| --- | ---: |{' ---: |' * len(providers)}"
    for subject, count in sorted(routes.items(), key=lambda row: title_of(row[0])):
        figures = " | ".join(str(done[subject, name]) for name in providers)
        yield f"| {title_of(subject).lower()} | {count} | {figures} |"
    totals = (sum(done[room, name] for room in routes) for name in providers)
    yield f"| **total** | {routes.total()} | {' | '.join(map(str, totals))} |"


def _unsupported() -> Iterator[str]:
    """Every route that some provider answers with 501."""
    providers = offers()["providers"]
    yield "| route | answers 501 with |"
    yield "| --- | --- |"
    for operation in offers()["operations"]:
        missing = [name for name in providers if name not in operation["supportedBy"]]
        if missing:
            yield f"| `{operation['method']} {operation['path']}` | {', '.join(missing)} |"


@cache
def offers() -> dict[str, Any]:
    """What GET /providers of a gateway in development answers."""
    rooms = [
        room
        for name, module in sys.modules.items()
        if name.startswith("gateway.") and not name.startswith("gateway.providers.")
        if isinstance(room := getattr(module, "handlers", None), Handlers)
    ]
    return provider_table(
        catalogue(),
        {name: load_provider(name).supports for name in provider_names()},
        lambda operation: any(room.supports(operation) for room in rooms),
    )


_TABLES: Mapping[str, Callable[[], Iterator[str]]] = {
    "coverage": _coverage,
    "unsupported": _unsupported,
    "settings": _settings,
}
