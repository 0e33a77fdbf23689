"""The table of settings in docs/settings.md, grouped by subject."""

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from gateway.environment import PREFIX, variable_name
from gateway.providers.loading import load_provider, provider_names
from gateway.settings import Settings

_SECTIONS: Final[Mapping[str, str]] = {
    "env": "Process and listeners",
    "data_dir": "Data directory, database and secret",
    "node_name": "Nodes and leases",
    "pace_min_seconds": "Pace and attempts",
    "queue_max_waiting": "Queue limits and history",
    "max_body_bytes": "Requests",
    "provider": "Instances",
    "webhook_timeout_seconds": "Webhooks",
    "kafka_servers": "Kafka",
    "allow_http": "URLs",
    "media_timeout_seconds": "Media",
    "drain_seconds": "Shutdown, logs and audit",
}
"""The title of a section, by the first field in it; sections follow the order of the fields."""


def settings_page() -> Iterator[str]:
    """Yields the lines of every section: the gateway's own, then one per provider."""
    title, rows = "", list[str]()
    for field in Settings.model_fields:
        if field in _SECTIONS:
            yield from _section(title, rows)
            title, rows = _SECTIONS[field], []
        rows.append(_row(Settings, field, PREFIX))
    yield from _section(title, rows)
    for name in provider_names():
        model, prefix = load_provider(name).settings, f"{PREFIX}{name.upper()}_"
        rows = [_row(model, field, prefix) for field in model.model_fields]
        yield from _section(f"Provider: {name}", rows)


def unknown_section_fields() -> frozenset[str]:
    """Returns the fields that begin a section and are not settings (any more)."""
    return frozenset(_SECTIONS) - Settings.model_fields.keys()


def _section(title: str, rows: list[str]) -> Iterator[str]:
    if not rows:
        return
    yield f"## {title}"
    yield ""
    yield "| variable | default | what it does |"
    yield "| --- | --- | --- |"
    yield from rows
    yield ""


def _row(model: type[BaseModel], field: str, prefix: str) -> str:
    info = model.model_fields[field]
    return f"| `{variable_name(field, prefix)}` | {_shown(info.default)} | {info.description} |"


def _shown(default: object) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    return f"`{default}`"
