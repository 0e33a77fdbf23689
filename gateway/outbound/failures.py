"""What can go wrong with a request to a server of others; each text completes "its server ..."."""

import socket
import ssl
from typing import Final


class ExchangeFailed(Exception):
    """The server gave no whole answer."""


class NoConnection(ExchangeFailed):
    """No connection was made."""


class ConnectionLost(ExchangeFailed):
    """The connection ended before the answer did."""


class TooSlow(ExchangeFailed):
    """The answer came more slowly than allowed, or stopped coming."""


class MalformedResponse(ExchangeFailed):
    """The answer is not HTTP."""


class UnreadableResponse(ExchangeFailed):
    """The content has a form that is not supported; the same URL will answer so again."""


class ExcessiveResponse(ExchangeFailed):
    """The answer costs more to read than its content may; the same URL will answer so again."""


def why_unreachable(error: Exception) -> str:
    """Returns why no connection was made, in words that complete "its server ..."."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _CERTIFICATES.get(error.verify_code, "is not trusted")
        return f"cannot be reached: its certificate {reason}"
    return next((words for kind, words in _WORDS if isinstance(error, kind)), _OTHER)


_CERTIFICATES: Final = {  # the codes of OpenSSL
    9: "is not valid yet",
    10: "has expired",
    62: "is for another name",
    64: "is for another address",
}
_OTHER: Final = "cannot be reached: there is no route to it"
_WORDS: Final = (  # the first class that matches counts
    (ssl.SSLError, "cannot be reached: it does not speak TLS as required"),
    (socket.gaierror, "cannot be reached: its name is unknown"),
    (UnicodeError, "cannot be reached: its name is unknown"),
    (ConnectionRefusedError, "refused the connection"),
    (TimeoutError, "did not answer"),
    (ConnectionError, "closed the connection while it was made"),
)
