"""Texts of other packages that pages show: here the catalogues find them."""

from typing import Final

from gateway.panel.languages import N_

ROLES: Final = (N_("Operator"), N_("Owner"), N_("Agent"), N_("Viewer"))
ERRORS: Final = (
    N_("The current password is wrong"),
    N_("The name that you typed is another one: nothing was changed"),
    N_("The form cannot be read"),
    N_("There is no number yet"),
    N_("There is no account yet: make one with `gateway accounts create`"),
    N_("There is no such account"),
    N_("There is no such session"),
    N_("The secret is damaged: open the page again"),
    N_("Too many requests for this user"),
    N_("Too many requests for this address"),
    N_("Too many sign-ins for this address"),
    N_("Too many requests for this account"),
    N_("Too many requests for this instance"),
    N_("You are not connected."),
)
"""Errors without values in them, as a change that failed shows them."""
