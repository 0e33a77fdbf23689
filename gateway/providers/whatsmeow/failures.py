"""What the library's errors mean, for a message and for a session."""

from gateway.errors import (
    DatabaseUnavailable,
    GatewayError,
    NotConnected,
    Refused,
    TryAgainLater,
    Unconfirmed,
)
from gateway.providers.whatsmeow.child.frames import Tell
from gateway.providers.whatsmeow.last_words import masked
from gateway.providers.whatsmeow.process import ChildGone, VerbFailed
from gateway.sessions.connection import ConnectionState
from gateway.sessions.reachability import NetworkFault

NO_ANSWER = "NoAnswer"
"""The failure of a session that says it is connected and is dead."""

_NOT_CONNECTED = ("websocket not connected", "not logged in", "store is nil", "client is nil")
_NOBODY = ("no lid found", "not on whatsapp")
_ANSWERED = "server returned error"
_BUSY_CODES = (" 429", " 500", " 503")

_STORE = ("failed to upgrade database", "failed to open database", "pq: ")
SERVER = ("web.whatsapp.com", 443)
_NETWORK_FAULTS: tuple[tuple[str, NetworkFault], ...] = (
    ("proxyconnect", NetworkFault.PROXY),
    ("socks connect", NetworkFault.PROXY),
    ("no such host", NetworkFault.NAME),
    ("server misbehaving", NetworkFault.NAME),
    ("failure in name resolution", NetworkFault.NAME),
    ("x509:", NetworkFault.CERTIFICATE),
    ("tls:", NetworkFault.TLS),
    ("connection refused", NetworkFault.REFUSED),
    ("i/o timeout", NetworkFault.SILENT),
    ("deadline exceeded", NetworkFault.SILENT),
    ("timeout awaiting", NetworkFault.SILENT),
    ("handshake timeout", NetworkFault.SILENT),
    ("no route to host", NetworkFault.UNREACHABLE),
    ("network is unreachable", NetworkFault.UNREACHABLE),
    ("but got ", NetworkFault.INTERCEPTED),  # another status than that of a websocket
    ("connection reset", NetworkFault.TLS),
    ("EOF", NetworkFault.TLS),
)
"""What Go says where it cannot dial; the first that fits counts."""

_DIALLING = "failed to dial whatsapp"
_NO_LIBRARY = "No module named 'neonize'"

_State = ConnectionState
_ENDS: dict[str, ConnectionState] = {
    "LoggedOut": _State.LOGGED_OUT,
    "StreamReplaced": _State.REPLACED,
    "TemporaryBan": _State.BANNED,
    "ClientOutdated": _State.OUTDATED,
}
"""After these the library does nothing more by itself."""

_FAILURES: dict[str, ConnectionState] = {
    "LOGGED_OUT": _State.LOGGED_OUT,
    "MAIN_DEVICE_GONE": _State.LOGGED_OUT,
    "UNKNOWN_LOGOUT": _State.LOGGED_OUT,
    "TEMP_BANNED": _State.BANNED,
    "CLIENT_OUTDATED": _State.OUTDATED,
    "BAD_USER_AGENT": _State.OUTDATED,
}


def failure_of(error: VerbFailed, *, may_have_left: bool) -> GatewayError:
    """Why a message was not sent, or what is known of it."""
    said = error.text.lower()
    if error.failure == "ParseError":
        return Refused("the message has a form that WhatsApp does not know")
    if _ANSWERED in said:
        reason = f"WhatsApp refused the message: {error.text}"
        busy = any(code in said for code in _BUSY_CODES)
        return TryAgainLater(reason) if busy else Refused(reason)
    if may_have_left:
        return Unconfirmed("the connection broke before the answer came")
    if any(part in said for part in _NOT_CONNECTED):
        return NotConnected("The phone is linked, but WhatsApp is out of reach.")
    if any(part in said for part in _NOBODY):
        return Refused("the number is not on WhatsApp")
    return TryAgainLater(error.text or error.failure)


def end_in(told: Tell) -> ConnectionState | None:
    """The state that what was told ends a session in, or None where it goes on."""
    if told.name == "ConnectFailure":
        return _FAILURES.get(told.body.get("Reason", ""))
    return _ENDS.get(told.name)


def breakage_of(error: Exception) -> str:
    """Why a session has to be started again: few words, as each is a label of a metric."""
    match error:
        case ChildGone():
            return "process_ended"
        case VerbFailed(failure=failure):
            return "no_answer" if failure == NO_ANSWER else "library_error"
        case _:
            return "not_started"


def sentence_of(error: Exception) -> str:
    """Why a session did not start or broke, for callers and operators: no secrets."""
    match error:
        case ChildGone(reason=None):
            return "The session's process ended; it is being started again."
        case DatabaseUnavailable() | VerbFailed(failure="KeyStoreClosed"):
            return f"The key store in Postgres does not open: {error}"
        case ChildGone() | VerbFailed():
            return _explained(str(error))
        case _:
            return f"The session's process did not start: {type(error).__name__} {error}".rstrip()


def _explained(text: str) -> str:
    if _NO_LIBRARY in text:
        return "The package neonize is not installed: install the gateway's extra `whatsmeow`."
    if any(part in text for part in _STORE):
        return f"The key store in Postgres does not open: {text}"
    return network_sentence(text) or f"The session's process ended: {text}"


def network_sentence(text: str) -> str | None:
    """What keeps the library from reaching WhatsApp, by its words; None where that works."""
    if _DIALLING not in text:
        return None
    fault = next((fault for part, fault in _NETWORK_FAULTS if part in text), None)
    if fault is None:
        return f"WhatsApp cannot be reached: {masked(text)}"
    return f"{fault.sentence(*SERVER)}."
