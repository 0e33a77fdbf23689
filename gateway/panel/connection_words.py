"""The state of an instance in words: what it means, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.panel.cookies import Tone
from gateway.panel.languages import N_
from gateway.sessions.connection import ConnectionState


@dataclass(frozen=True, slots=True)
class StateWords:
    """A state for people; the texts are English msgids, `cure` is empty where nothing is to do."""

    tone: Tone
    label: str
    text: str
    cure: str = ""
    icon: str = ""


_WORDS: Final[Mapping[str, StateWords]] = {
    ConnectionState.CONNECTED: StateWords(
        "ok", N_("Connected"), N_("The phone is linked, and WhatsApp answers.")
    ),
    ConnectionState.CONNECTING: StateWords(
        "wait",
        N_("Connecting"),
        N_("The connection to WhatsApp is being opened. This takes a few seconds."),
    ),
    ConnectionState.DISCONNECTED: StateWords(
        "bad",
        N_("Disconnected"),
        N_("The phone is linked, but WhatsApp cannot be reached. Messages wait and are not lost."),
        N_("Check that the phone is on and has internet. Then reconnect."),
    ),
    ConnectionState.UNPAIRED: StateWords(
        "warn",
        N_("Not linked"),
        N_("No phone is linked to this number yet."),
        N_("Scan the QR code with the phone."),
        "qr",
    ),
    ConnectionState.LOGGED_OUT: StateWords(
        "bad",
        N_("Logged out"),
        N_("The phone ended the link. Messages wait and are not lost."),
        N_("Scan the QR code with the phone again."),
        "power",
    ),
    ConnectionState.REPLACED: StateWords(
        "bad",
        N_("Opened elsewhere"),
        N_("Another program uses this link. Only one can."),
        N_("Close the other program. Then restart here."),
    ),
    ConnectionState.BANNED: StateWords(
        "bad",
        N_("Banned by WhatsApp"),
        N_("WhatsApp has blocked this phone number. Messages wait."),
        N_("Open WhatsApp on the phone and ask for a review. Or link another phone."),
        "lock",
    ),
    ConnectionState.OUTDATED: StateWords(
        "bad",
        N_("Gateway too old"),
        N_("WhatsApp no longer accepts this version of the gateway."),
        N_("Ask the operator to update the gateway."),
    ),
}
STATES: Final = tuple(state.value for state in ConnectionState)
NEEDS_CODE: Final = frozenset({ConnectionState.UNPAIRED, ConnectionState.LOGGED_OUT})
"""The states in which a phone has to scan a code."""


def words_of(state: str) -> StateWords:
    """Returns the words of a state; one of a later release is shown by its name."""
    return _WORDS.get(state, StateWords("plain", state, ""))
