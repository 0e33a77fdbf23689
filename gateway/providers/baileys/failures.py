"""What an error of the library means for a message, and for a session."""

from datetime import datetime, timedelta

from gateway.errors import (
    DatabaseUnavailable,
    GatewayError,
    InvalidRequest,
    NotConnected,
    Reach,
    Refused,
    Restricted,
    SessionUnavailable,
    StartRefused,
    TryAgainLater,
    Unconfirmed,
)
from gateway.sessions.connection import ConnectionState
from gateway.sessions.reachability import NetworkFault
from gateway.whatsapp_web.error_output import masked
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import VerbFailed

SERVER = ("web.whatsapp.com", 443)
NO_ANSWER = "NoAnswer"
"""The failure of a message, or of a probe, to which WhatsApp gave no answer."""

_OUT_OF_REACH = "The phone is linked, but WhatsApp is out of reach."
_NOT_CONNECTED = frozenset({"NotConnected", "NoSession"})
_BUSY = frozenset({"Code429", "Code500", "Code503"})
_PASSING = frozenset({"Conflict", "NotReady"}) | _BUSY
_FIRST_CONTACTS = "Code463"
_HOURS_OF_RESTRICTION = 1.0  # WhatsApp's answer names no end
_NETWORK_FAULTS: tuple[tuple[str, NetworkFault], ...] = (
    ("Proxy", NetworkFault.PROXY),
    ("proxy", NetworkFault.PROXY),
    ("Socks", NetworkFault.PROXY),
    ("ENOTFOUND", NetworkFault.NAME),
    ("EAI_AGAIN", NetworkFault.NAME),
    ("certificate", NetworkFault.CERTIFICATE),
    ("ECONNREFUSED", NetworkFault.REFUSED),
    ("EHOSTUNREACH", NetworkFault.UNREACHABLE),
    ("ENETUNREACH", NetworkFault.UNREACHABLE),
    ("Unexpected server response", NetworkFault.INTERCEPTED),
    ("ECONNRESET", NetworkFault.TLS),
    ("socket disconnected", NetworkFault.TLS),
    ("hang up", NetworkFault.TLS),
    ("ETIMEDOUT", NetworkFault.SILENT),
    ("timed out", NetworkFault.SILENT),
)
"""Parts of Node's errors when it cannot connect; the first one that fits counts."""

_State = ConnectionState
ENDS: dict[str, ConnectionState] = {
    "LoggedOut": _State.LOGGED_OUT,
    "StreamReplaced": _State.REPLACED,
    "TemporaryBan": _State.BANNED,
    "ClientOutdated": _State.OUTDATED,
}
"""After these notices the child does not connect again by itself."""


def failure_of(error: VerbFailed, now: datetime, *, may_have_left: bool) -> GatewayError:
    """Returns the error that `send` raises; *may_have_left*: the child was given the message."""
    if error.failure in _NOT_CONNECTED:
        return NotConnected(_OUT_OF_REACH)
    if error.failure == _FIRST_CONTACTS:
        return Restricted(
            "WhatsApp does not let this number write to new people for now.",
            until=now + timedelta(hours=_HOURS_OF_RESTRICTION),
            reach=Reach.FIRST_CONTACTS,
        )
    if error.failure == NO_ANSWER and may_have_left:
        return Unconfirmed("the connection broke before the answer came")
    reason = f"WhatsApp refused the message: {error.text}"
    if error.failure in _BUSY:
        return TryAgainLater(reason)
    if error.failure.startswith("Code"):
        return Refused(reason)
    return TryAgainLater(error.text or error.failure)


def answer_of(error: VerbFailed) -> GatewayError:
    """Returns the error that a request raises which is no message."""
    if error.failure in _NOT_CONNECTED:
        return NotConnected(_OUT_OF_REACH)
    if error.failure == NO_ANSWER:
        return SessionUnavailable("WhatsApp did not answer in time; it may have done it.")
    if error.failure in _PASSING:
        return SessionUnavailable(error.text or error.failure)
    return InvalidRequest(f"WhatsApp refused: {error.text}")


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
        case StartRefused():
            return str(error)
        case ChildGone(reason=None):
            return "The session's process ended; it is being started again."
        case DatabaseUnavailable():
            return f"The key store in Postgres does not open: {error}"
        case ChildGone() | VerbFailed():
            return f"The session's process ended: {error}"
        case _:
            return f"The session's process did not start: {type(error).__name__} {error}".rstrip()


def network_sentence(text: str) -> str | None:
    """Returns a sentence why WhatsApp is out of reach; None where *text* says nothing."""
    if not text:
        return None
    fault = next((fault for part, fault in _NETWORK_FAULTS if part in text), None)
    if fault is None:
        return f"WhatsApp cannot be reached: {masked(text)}"
    return f"{fault.sentence(*SERVER)}."
