"""What can go wrong with a request to a server of others; each text completes "its server ..."."""


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


class ExcessiveResponse(ExchangeFailed):
    """The answer costs more to read than its content may; the same URL will answer so again."""
