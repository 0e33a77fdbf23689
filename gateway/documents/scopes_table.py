"""The table of rights: which scope each route needs, and which roles have it."""

from collections.abc import Iterator

from gateway.contract.catalogue import Catalogue
from gateway.contract.scopes import SCOPE_MEANINGS, SCOPES_OF_ROLE, ApiScope, UserRole
from gateway.documents.surface import surface

_STREAMS = (("GET", "/events", ApiScope.READ), ("GET", "/events/ws", ApiScope.READ))


def scopes_table() -> Iterator[str]:
    """Yields a row per scope, with the roles that have it."""
    yield "| scope | may | roles |"
    yield "| --- | --- | --- |"
    for scope in ApiScope:
        yield f"| `{scope}` | {SCOPE_MEANINGS[scope]} | {', '.join(roles_with(scope))} |"


def rights_table(catalogue: Catalogue) -> Iterator[str]:
    """Yields a row per route; paths are below the instance unless they begin with an account's."""
    rows = [
        (entry.path, entry.method, entry.declared.scope, entry.absolute)
        for entry in surface(catalogue)
    ]
    rows += [(path, method, scope, True) for method, path, scope in _STREAMS]
    yield f"| route | of | scope | {' | '.join(UserRole)} |"
    yield f"| --- | --- | --- |{' :-: |' * len(UserRole)}"
    for path, method, scope, is_of_account in sorted(rows):
        assert scope is not None  # a test sees to it
        may = " | ".join("x" if scope in SCOPES_OF_ROLE[role] else "" for role in UserRole)
        owner = "account" if is_of_account else "instance"
        yield f"| `{method} {path}` | {owner} | `{scope}` | {may} |"


def roles_with(scope: ApiScope) -> list[str]:
    """Returns the roles that have a scope."""
    return [role.value for role in UserRole if scope in SCOPES_OF_ROLE[role]]
