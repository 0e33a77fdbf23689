"""The states of a session, each with a sentence for people."""

from enum import StrEnum


class ConnectionState(StrEnum):
    """The state that a session reports. Messages leave only while it is CONNECTED."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    DISCONNECTED = "disconnected"
    UNPAIRED = "unpaired"
    LOGGED_OUT = "logged_out"
    REPLACED = "replaced"
    BANNED = "banned"
    OUTDATED = "outdated"

    @property
    def is_linked(self) -> bool:
        """Whether a phone is linked, so that it need not scan a QR code."""
        return self in _LINKED

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_LINKED = frozenset(
    {
        ConnectionState.CONNECTED,
        ConnectionState.DISCONNECTED,
        ConnectionState.REPLACED,
        ConnectionState.OUTDATED,
    }
)
_SENTENCES = {
    ConnectionState.CONNECTED: "The phone is linked and WhatsApp answers.",
    ConnectionState.CONNECTING: "The session is being opened.",
    ConnectionState.DISCONNECTED: "The phone is linked, but WhatsApp is out of reach.",
    ConnectionState.UNPAIRED: "No phone is linked yet: scan the QR code.",
    ConnectionState.LOGGED_OUT: "The phone ended the session: scan the QR code again.",
    ConnectionState.REPLACED: "The session was opened elsewhere.",
    ConnectionState.BANNED: "WhatsApp has banned the number.",
    ConnectionState.OUTDATED: "WhatsApp no longer accepts this version of the client.",
}
