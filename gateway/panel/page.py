"""What a page is: its path, its entry in the navigation, and its handlers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from starlette.responses import Response

from gateway.contract.scopes import ApiScope
from gateway.panel.navigation import NavEntry, Section
from gateway.panel.visit import Visit

PREFIX: Final = "/panel"
Handler = Callable[[Visit], Awaitable[Response]]
Method = Literal["GET", "POST"]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One address of a page."""

    method: Method
    path: str
    handler: Handler
    scope: ApiScope | None
    operators: bool
    is_public: bool
    max_file_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: a module `gateway/panel/pages/NAME.py` has one in its variable `page`.

    Args:
        path: below /panel; the paths of its handlers are relative to it.
        title: an English msgid, marked with N_.
        icon: a symbol of the sprite.
        section: where the navigation shows it; None for a page without an entry.
        scope: what its readers need; a handler may need another one.
        order: among the entries of the section.
        operators: only operators of the installation use it.
        on_phone: it has a place in the bar at the bottom of a phone.
        is_public: a visitor needs no session.
    """

    path: str
    title: str
    icon: str = "dot"
    section: Section | None = None
    scope: ApiScope | None = ApiScope.READ
    order: int = 50
    operators: bool = False
    on_phone: bool = False
    is_public: bool = False
    routes: list[PageRoute] = field(default_factory=list)

    @property
    def full_path(self) -> str:
        return PREFIX + self.path

    @property
    def nav_entry(self) -> NavEntry | None:
        if self.section is None:
            return None
        return NavEntry(
            title=self.title,
            path=self.full_path,
            icon=self.icon,
            section=self.section,
            scope=self.scope,
            order=self.order,
            operators=self.operators,
            on_phone=self.on_phone,
        )

    def get(self, path: str = "", *, scope: ApiScope | None = None) -> Callable[[Handler], Handler]:
        """Answers GET at a path below the page; *scope* replaces the page's."""
        return self._route("GET", path, scope or self.scope, 0)

    def post(
        self, path: str = "", *, scope: ApiScope | None = None, max_file_bytes: int = 0
    ) -> Callable[[Handler], Handler]:
        """Answers POST: a change, whose form token was checked; *scope* replaces the page's.

        With *max_file_bytes* its form may have a file of that size: `visit.upload`.
        """
        return self._route("POST", path, scope or self.scope, max_file_bytes)

    def _route(
        self, method: Method, path: str, scope: ApiScope | None, max_file_bytes: int
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            whole = self.full_path.rstrip("/") + path if path else self.full_path
            self.routes.append(
                PageRoute(
                    method, whole, handler, scope, self.operators, self.is_public, max_file_bytes
                )
            )
            return handler

        return add


def entries_of(pages: Sequence[Page]) -> Sequence[NavEntry]:
    """Returns the entries of the navigation that the pages declare."""
    return [entry for page in pages if (entry := page.nav_entry)]
