"""Generates the tables in README.md and the pages in docs/."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import gateway.runtime.wiring  # noqa: F401 - imports every module that answers operations
from gateway.api.provider_table import provider_table
from gateway.contract.catalogue import catalogue
from gateway.contract.handlers import Handlers
from gateway.documents.limits_table import limits_table
from gateway.documents.scopes_table import rights_table, scopes_table
from gateway.documents.surface import surface, title_of
from gateway.panel.rights import panel_rights_table
from gateway.providers.loading import load_provider, load_providers, provider_names
from gateway.runtime.settings_page import settings_page


def renew(page: str) -> str:
    """Returns the page with each table between `<!-- name -->` and `<!-- /name -->` replaced."""
    for name, table in _TABLES.items():
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _stale, end, after = rest.partition(f"<!-- /{name} -->")
        if end:
            lines = "\n".join(table()).rstrip("\n")
            page = f"{before}{begin}\n{lines}\n\n{end}{after}"
    return page


def renew_file(path: Path) -> None:
    path.write_text(renew(path.read_text()))


def _coverage() -> Iterator[str]:
    """Yields a row per subject: its routes, and how many of them each provider supports."""
    providers = offers()["providers"]
    routes, done = _counts()
    yield f"| domain | routes | {' | '.join(providers)} |"
    yield f"| --- | ---: |{' ---: |' * len(providers)}"
    for subject, count in sorted(routes.items(), key=lambda row: title_of(row[0])):
        figures = " | ".join(str(done[subject, name]) for name in providers)
        yield f"| {title_of(subject).lower()} | {count} | {figures} |"
    totals = (sum(done[subject, name] for subject in routes) for name in providers)
    yield f"| **total** | {routes.total()} | {' | '.join(map(str, totals))} |"


def _gaps() -> Iterator[str]:
    """Yields a line per provider that does not support every route, in no language."""
    routes, done = _counts()
    for name in offers()["providers"]:
        supported = sum(done[subject, name] for subject in routes)
        incomplete = sorted(
            f"{title_of(subject).lower()} {done[subject, name]}/{count}"
            for subject, count in routes.items()
            if done[subject, name] < count
        )
        if incomplete:
            yield f"`{name}`: **{supported}/{routes.total()}** ({', '.join(incomplete)})"


def _counts() -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Returns the routes of each subject, and those that each provider supports."""
    providers = offers()["providers"]
    supported = {(o["method"], o["path"]): o["supportedBy"] for o in offers()["operations"]}
    routes, done = Counter[str](), Counter[tuple[str, str]]()
    for entry in surface(catalogue()):
        if entry.main is None and not entry.by_name:  # those lead to the others
            routes[entry.subject] += 1
            # A route that is not in the table is answered by the gateway itself.
            able = supported.get((entry.method, entry.path), providers)
            done.update((entry.subject, name) for name in able)
    return routes, done


def _unsupported() -> Iterator[str]:
    """Yields every route that some provider does not support, unless it has a requirement."""
    yield "| route | not supported by |"
    yield "| --- | --- |"
    for operation in offers()["operations"]:
        missing = _missing(operation)
        if missing and operation["requirement"] is None:
            yield f"| {_route(operation)} | {', '.join(missing)} |"


def _requirements() -> Iterator[str]:
    """Yields a row per requirement: its routes, and which providers do not support them."""
    yield "| routes | not supported by | why |"
    yield "| --- | --- | --- |"
    for name, reason in offers()["requirements"].items():
        needing = [each for each in offers()["operations"] if each["requirement"] == name]
        missing = sorted({provider for each in needing for provider in _missing(each)})
        routes = ", ".join(_route(each) for each in needing)
        yield f"| {routes} | {', '.join(missing)} | {reason} |"


def _missing(operation: Mapping[str, Any]) -> list[str]:
    return [name for name in offers()["providers"] if name not in operation["supportedBy"]]


def _route(operation: Mapping[str, Any]) -> str:
    return f"`{operation['method']} {operation['path']}`"


@cache
def offers() -> dict[str, Any]:
    """Returns what GET /providers of a gateway in development answers."""
    tables = [
        table
        for name, module in sys.modules.items()
        if name.startswith("gateway.") and not name.startswith("gateway.providers.")
        if isinstance(table := getattr(module, "handlers", None), Handlers)
    ]
    return provider_table(
        catalogue(),
        {name: load_provider(name).supports for name in provider_names()},
        lambda operation: any(table.supports(operation) for table in tables),
    )


def _personal_data() -> Iterator[str]:
    """Yields a row for each kind of personal data that a provider stores."""
    yield "| provider | what it stores | until |"
    yield "| --- | --- | --- |"
    for provider in load_providers():
        for kind in provider.personal_data:
            yield f"| {provider.name} | {kind.what} | {kind.until} |"


def _unconfirmed() -> Iterator[str]:
    """Yields a row for each address, or field, that is known from public clients alone."""
    yield "| route | what is unconfirmed |"
    yield "| --- | --- |"
    for entry in surface(catalogue()):
        names = ["the route" if name.startswith("/") else f"`{name}`" for name in entry.unconfirmed]
        if names and (entry.main is None or "the route" in names):
            yield f"| `{entry.method} {entry.path}` | {', '.join(names)} |"


_TABLES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "coverage": _coverage,
    "gaps": _gaps,
    "unsupported": _unsupported,
    "requirements": _requirements,
    "unconfirmed": _unconfirmed,
    "personal-data": _personal_data,
    "settings": settings_page,
    "limits": lambda: limits_table(catalogue()),
    "scopes": scopes_table,
    "rights": lambda: rights_table(catalogue()),
    "panel-rights": panel_rights_table,
}
