"""The parts of the page System."""

from collections.abc import Sequence
from typing import Final

from gateway.panel.languages import N_
from gateway.panel.visit import Visit

SYSTEM_PATH: Final = "/panel/system"
_TABS: Final = (
    (N_("Overview"), ""),
    (N_("Accounts"), "/accounts"),
    (N_("Users"), "/users"),
    (N_("Providers"), "/providers"),
)


def system_tabs(visit: Visit, path: str) -> Sequence[tuple[str, str, bool]]:
    """Returns label, address and whether it is the one shown, as the macro `tabs` takes them."""
    return [
        (visit.gettext(label), SYSTEM_PATH + end, SYSTEM_PATH + end == path) for label, end in _TABS
    ]
