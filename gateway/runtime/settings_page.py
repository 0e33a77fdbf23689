"""Generates the tables of settings in docs/settings.md, one per section and provider."""

from collections.abc import Iterable, Iterator

from pydantic.fields import FieldInfo

from gateway.environment import PREFIX, variable_name
from gateway.providers.loading import load_provider, provider_names
from gateway.settings import Settings


def settings_page() -> Iterator[str]:
    """Yields the lines of every section: those of the gateway, then one per provider."""
    for _name, section in Settings.sections():
        fields = section.model_fields
        rows = (_row(variable, fields[field]) for field, variable in section.variables())
        yield from _section(section.title, rows)
    for name in provider_names():
        prefix = f"{PREFIX}{name.upper()}_"
        fields = load_provider(name).settings.model_fields
        rows = (_row(variable_name(field, prefix), info) for field, info in fields.items())
        yield from _section(f"Provider: {name}", rows)


def _section(title: str, rows: Iterable[str]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield "| variable | default | what it does |"
    yield "| --- | --- | --- |"
    yield from rows
    yield ""


def _row(variable: str, info: FieldInfo) -> str:
    return f"| `{variable}` | {_shown(info.default)} | {info.description} |"


def _shown(default: object) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    return f"`{default}`"
