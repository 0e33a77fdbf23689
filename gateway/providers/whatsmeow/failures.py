"""What the library's errors mean for a message: one table."""

from gateway.errors import GatewayError, NotConnected, Refused, TryAgainLater, Unconfirmed
from gateway.providers.whatsmeow.process import VerbFailed

_NOT_CONNECTED = ("websocket not connected", "not logged in", "store is nil", "client is nil")
_NOBODY = ("no lid found", "not on whatsapp")
_ANSWERED = "server returned error"
_BUSY_CODES = (" 429", " 500", " 503")


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
