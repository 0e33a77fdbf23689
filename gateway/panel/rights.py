"""Which role may open which page and do which action; the endpoint and the documents agree."""

from collections.abc import Iterator

from gateway.contract.scopes import SCOPES_OF_ROLE, UserRole
from gateway.panel.discovery import find_pages
from gateway.panel.page import PageRoute


def may_use(route: PageRoute, role: UserRole | None) -> bool:
    """Returns whether a role may use a route; *role* is None for a visitor without a session."""
    if route.is_public:
        return True
    if role is None or (route.operators and role is not UserRole.OPERATOR):
        return False
    return route.scope is None or route.scope in SCOPES_OF_ROLE[role]


def panel_rights_table() -> Iterator[str]:
    """Yields a row per page (GET) and action (POST) of the panel."""
    yield f"| page or action | scope | without sign-in | {' | '.join(UserRole)} |"
    yield f"| --- | --- | :-: |{' :-: |' * len(UserRole)}"
    every = [route for page in find_pages() for route in page.routes]
    for route in sorted(every, key=lambda each: (each.path, each.method)):
        may = " | ".join("x" if may_use(route, role) else "" for role in (None, *UserRole))
        scope = f"`{route.scope}`" if route.scope and not route.is_public else ""
        yield f"| `{route.method} {route.path}` | {scope} | {may} |"
