"""The tables of README.md that the program itself knows best."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from gateway.providers import load_provider, provider_names
from gateway.settings import PREFIX, Settings, variable_name


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


_TABLES: Mapping[str, Callable[[], Iterator[str]]] = {"settings": _settings}
