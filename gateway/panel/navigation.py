"""The navigation: sections, and the entries that pages declare."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.contract.scopes import ApiScope
from gateway.panel.languages import N_


class Section(StrEnum):
    """A section of the navigation, in this order; its text is an English msgid."""

    TODAY = N_("Today")
    NUMBERS = N_("Numbers")
    MESSAGES = N_("Messages")
    INTEGRATION = N_("Integration")
    TRUST = N_("Trust")
    SYSTEM = N_("System")


_ORDER: Final = {section: number for number, section in enumerate(Section)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NavEntry:
    """A link of the navigation.

    `title` is an English msgid, `path` an absolute one, `icon` a symbol of the sprite. Who lacks
    `scope` does not see it. `operators` shows it to operators alone. `on_phone` puts it into the
    bar at the bottom of a phone, which holds four.
    """

    title: str
    path: str
    icon: str
    section: Section
    scope: ApiScope | None = None
    order: int = 50
    operators: bool = False
    on_phone: bool = False

    def is_for(self, scopes: Iterable[ApiScope], *, is_operator: bool) -> bool:
        """Returns whether a user with these scopes sees the entry."""
        if self.operators and not is_operator:
            return False
        return self.scope is None or self.scope in set(scopes)


def by_section(entries: Iterable[NavEntry]) -> Sequence[tuple[Section, Sequence[NavEntry]]]:
    """Returns the sections that have entries, with their entries in order."""
    ordered = sorted(entries, key=lambda e: (_ORDER[e.section], e.order, e.title))
    return [
        (section, found)
        for section in Section
        if (found := [e for e in ordered if e.section is section])
    ]
