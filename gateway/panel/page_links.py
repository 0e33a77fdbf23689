"""Which other pages a page may link to: those that exist, and that the user sees."""

from gateway.contract.scopes import SCOPES_OF_ROLE
from gateway.panel.visit import Visit


def has_page(visit: Visit, path: str) -> bool:
    """Returns whether the user sees a page of this address in the navigation."""
    scopes = SCOPES_OF_ROLE[visit.user.role]
    return any(
        each.path == path and each.is_for(scopes, is_operator=visit.is_operator)
        for each in visit.entries
    )
