"""The base class of the sections of the settings.

A builder gets only its section. `validation_alias` is the one place that maps a field to its
variable; operators use the variables, so their names do not change.
"""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class SettingsSection(BaseModel):
    """Settings that one part of the gateway needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    """The heading of the section in docs/settings.md."""

    @classmethod
    def variables(cls) -> Iterator[tuple[str, str]]:
        """Yields each field with its environment variable."""
        for name, field in cls.model_fields.items():
            yield name, str(field.validation_alias)
