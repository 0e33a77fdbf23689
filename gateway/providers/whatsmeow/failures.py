"""What an error of the library means for a message, and for a session."""

from datetime import datetime, timedelta

from gateway.errors import (
    DatabaseUnavailable,
    GatewayError,
    NotConnected,
    Reach,
    Refused,
    Restricted,
    TryAgainLater,
    Unconfirmed,
)
from gateway.providers.whatsmeow.child.frames import LibraryEvent
from gateway.sessions.connection import ConnectionState
from gateway.sessions.reachability import NetworkFault
from gateway.whatsapp_web.error_output import masked
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import VerbFailed

NO_ANSWER = "NoAnswer"
"""The failure of a session that says it is connected and is dead."""

_NOT_CONNECTED = ("websocket not connected", "not logged in", "store is nil", "client is nil")
_NOT_ON_WHATSAPP = ("no lid found", "not on whatsapp")
_REFUSED_BY_SERVER = "server returned error"
_NO_NEW_CONVERSATIONS = " 463"
_FIRST_CONTACT_PAUSE = timedelta(hours=1)
"""WhatsApp's answer does not say when it allows new conversations again."""
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
"""Parts of Go's errors when it cannot connect; the first one that fits counts."""

_DIALLING = "failed to dial whatsapp"
_NO_LIBRARY = "No module named 'neonize'"

_State = ConnectionState
_ENDS: dict[str, ConnectionState] = {
    "LoggedOut": _State.LOGGED_OUT,
    "StreamReplaced": _State.REPLACED,
    "TemporaryBan": _State.BANNED,
    "ClientOutdated": _State.OUTDATED,
}
"""After these events the library does not connect again by itself."""

_FAILURES: dict[str, ConnectionState] = {
    "LOGGED_OUT": _State.LOGGED_OUT,
    "MAIN_DEVICE_GONE": _State.LOGGED_OUT,
    "UNKNOWN_LOGOUT": _State.LOGGED_OUT,
    "TEMP_BANNED": _State.BANNED,
    "CLIENT_OUTDATED": _State.OUTDATED,
    "BAD_USER_AGENT": _State.OUTDATED,
}


def failure_of(error: VerbFailed, *, may_have_left: bool, now: datetime) -> GatewayError:
    """Returns the error that `send` raises; *may_have_left*: the message had its id."""
    text = error.text.lower()
    if error.failure == "ParseError":
        return Refused("the message has a form that WhatsApp does not know")
    if _REFUSED_BY_SERVER in text:
        return _refusal(error.text, now)
    if may_have_left:
        return Unconfirmed("the connection broke before the answer came")
    if any(part in text for part in _NOT_CONNECTED):
        return NotConnected("The phone is linked, but WhatsApp is out of reach.")
    if any(part in text for part in _NOT_ON_WHATSAPP):
        return Refused("the number is not on WhatsApp")
    return TryAgainLater(error.text or error.failure)


def _refusal(text: str, now: datetime) -> GatewayError:
    """Returns the error for a code with which WhatsApp answered the message."""
    if _NO_NEW_CONVERSATIONS in text:
        return Restricted(
            "WhatsApp lets the number write to known chats only.",
            until=now + _FIRST_CONTACT_PAUSE,
            reach=Reach.FIRST_CONTACTS,
        )
    reason = f"WhatsApp refused the message: {text}"
    busy = any(code in text for code in _BUSY_CODES)
    return TryAgainLater(reason) if busy else Refused(reason)


def end_state_of(event: LibraryEvent) -> ConnectionState | None:
    """Returns the state in which the event ends a session; None if the session goes on."""
    if event.name == "ConnectFailure":
        return _FAILURES.get(event.body.get("Reason", ""))
    return _ENDS.get(event.name)


def breakage_of(error: Exception) -> str:
    """Returns why a session has to be restarted: one of a few labels of a metric."""
    match error:
        case ChildGone():
            return "process_ended"
        case VerbFailed(failure=failure):
            return "no_answer" if failure == NO_ANSWER else "library_error"
        case _:
            return "not_started"


def sentence_of(error: Exception) -> str:
    """Returns a sentence why a session did not start or broke, for callers, without secrets."""
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
    """Returns a sentence why WhatsApp is out of reach; None if *text* is of another error."""
    if _DIALLING not in text:
        return None
    fault = next((fault for part, fault in _NETWORK_FAULTS if part in text), None)
    if fault is None:
        return f"WhatsApp cannot be reached: {masked(text)}"
    return f"{fault.sentence(*SERVER)}."
