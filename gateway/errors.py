"""All errors that this gateway raises on purpose, and the HTTP status of each.

* GatewayError
  x CallerError                   the caller must change something
    + InvalidRequest              400
      - InstanceNotConnected      the instance refuses sends while it is disconnected
      - TrialOver                 not subscribed
      - AddressRefused            a URL that this gateway may not visit
    + Unauthorized                401
      - SignInFailed              never says what of login, password and code is wrong
    + Forbidden                   403
      - ClientTokenMissing
    + NotFound                    404
      - UnknownInstance           wrong id or token; never says which
        . ControlNeedsToken       of a provider's own routes
      - UnknownRoute
    + MethodNotAllowed            405
    + Conflict                    409
    + BodyTooLarge                413
    + TooManyValues               413
    + UnsupportedContentType      415
    + IdempotencyKeyReused        422
    + ProxyUnreachable            422, WhatsApp cannot be reached through a new proxy
    + QueueFull                   429
    + StorageLimitReached         413
    + TooManyRequests             429
    + NotSupported                501, this instance's provider cannot do it
  x Unavailable                   503, something that the gateway needs is unavailable for now
    + DatabaseUnavailable
    + SessionUnavailable
  x ProviderError                 WhatsApp or the provider failed to do what was asked
    + NotConnected                keep the message, wait for the session
    + Restricted                  keep the message, hold what is in reach until a time
    + TryAgainLater               keep the message, try again after a delay
    + Refused                     the message failed for good
    + Unconfirmed                 sent, but no answer came
  x StartRefused                  the process must not start like this
    + InvalidSettings
    + SchemaTooNew
    + NodeReplaced                another process took this node's name
"""

from datetime import datetime
from enum import StrEnum


class GatewayError(Exception):
    """Base of every error this gateway raises on purpose."""


class CallerError(GatewayError):
    """The caller must change something; becomes a 4xx (501 for NotSupported)."""


class InvalidRequest(CallerError):
    """The request does not match the contract."""


class InstanceNotConnected(InvalidRequest):
    """The instance is disconnected and its owner chose not to queue meanwhile."""

    def __init__(self) -> None:
        super().__init__("You are not connected.")


class TrialOver(InvalidRequest):
    """The trial ended and the instance has no subscription."""

    def __init__(self) -> None:
        super().__init__("To continue sending a message, you must subscribe to this instance again")


class AddressRefused(InvalidRequest):
    """The caller gave a URL that this gateway may not visit."""


class Unauthorized(CallerError):
    """A partner route without a valid bearer token."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class SignInFailed(Unauthorized):
    """A wrong login, password, code or link; the same text for each, also for an unknown login."""

    def __init__(self) -> None:
        CallerError.__init__(self, "The e-mail, the password or the code is wrong")


class Forbidden(CallerError):
    """The Client-Token or the caller's address is not allowed."""


class NotFound(CallerError):
    """The thing that the caller named does not exist."""


class UnknownInstance(NotFound):
    """No such instance, or not with this token."""

    def __init__(self) -> None:
        super().__init__("Instance not found")


class ControlNeedsToken(UnknownInstance):
    """Only the demo instance is controlled without its token; never says which ids exist."""

    def __init__(self) -> None:
        NotFound.__init__(
            self, "Instance not found: give the token of the instance in the header Instance-Token"
        )


class UnknownRoute(NotFound):
    """No such path."""

    def __init__(self) -> None:
        super().__init__("NOT_FOUND")


class ClientTokenMissing(Forbidden):
    """The account requires a Client-Token, and the request has none; the text is Z-API's."""

    def __init__(self) -> None:
        super().__init__("null not allowed")


class MethodNotAllowed(CallerError):
    """The path exists, with other methods."""

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__("Method not allowed")
        self.allowed = allowed


class Conflict(CallerError):
    """The thing that the caller named is in a state that does not allow this."""


class BodyTooLarge(CallerError):
    """The body, or its part beside the files, exceeds the limit of the route."""

    def __init__(self, limit_bytes: int, *, beside_files: bool = False) -> None:
        super().__init__(
            f"Without its files the body is larger than {limit_bytes} bytes: send less beside the "
            "files, or have GATEWAY_MAX_BODY_BYTES raised"
            if beside_files
            else f"The body is larger than {limit_bytes} bytes"
        )


class TooManyValues(CallerError):
    """The JSON holds more values than the gateway reads at once."""

    def __init__(self, limit: int, subject: str = "The body") -> None:
        super().__init__(f"{subject} holds more than {limit} values: send it in parts")


class UnsupportedContentType(CallerError):
    """A body arrived that is not JSON, or is compressed."""

    def __init__(self, reason: str = "Content-Type must be application/json") -> None:
        super().__init__(reason)


class IdempotencyKeyReused(CallerError):
    """The same Idempotency-Key came with another body."""

    def __init__(self) -> None:
        super().__init__("Idempotency-Key was already used with another body")


class ProxyUnreachable(CallerError):
    """WhatsApp cannot be reached through the proxy that the caller wants to use."""


class QueueFull(CallerError):
    """The queue of the instance holds the maximum number of messages."""

    def __init__(self, limit: int, *, connected: bool, retry_after_seconds: int = 60) -> None:
        state = "" if connected else " while the instance is disconnected"
        super().__init__(f"Queue limit of {limit} messages reached{state}")
        self.retry_after_seconds = retry_after_seconds


class TooManyRequests(CallerError):
    """The account or instance makes more requests than it may."""

    def __init__(self, scope: str, *, retry_after_seconds: int, things: str = "requests") -> None:
        super().__init__(f"Too many {things} for this {scope}")
        self.retry_after_seconds = retry_after_seconds


class StorageLimitReached(CallerError):
    """The account has stored as many bytes of files as it may."""

    def __init__(self, *, used_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"The files of this account take {used_bytes} of {limit_bytes} bytes: wait until older "
            "files expire, or have GATEWAY_ACCOUNT_MAX_STORED_BYTES raised"
        )


class NotSupported(CallerError):
    """This instance's provider has no handler for the operation."""


class Unavailable(GatewayError):
    """Something that the gateway needs is unavailable for now; the caller may try again."""


class DatabaseUnavailable(Unavailable):
    """Postgres did not answer, or cannot serve now.

    Whether the statement ran may be unknown, unless `refused`: then the server answered that it
    did not run it. After `closed` this process asks Postgres no more, so nothing may be repeated.
    """

    def __init__(self, reason: str, *, refused: bool = False, closed: bool = False) -> None:
        super().__init__(reason)
        self.refused, self.closed = refused, closed


class SessionUnavailable(Unavailable):
    """No node has a live session of this instance right now."""


class ProviderError(GatewayError):
    """WhatsApp or the provider failed to do what was asked."""


class NotConnected(ProviderError):
    """The session is not connected; the attempt does not count."""


class Reach(StrEnum):
    """Which messages of an instance a failure stops."""

    CHAT = "chat"
    """Those of the same chat."""
    FIRST_CONTACTS = "first_contacts"
    """Those to chats in which no message was sent or received; replies go on."""
    QUEUE = "queue"
    """All of them."""


class Restricted(ProviderError):
    """WhatsApp restricts the number: what is in *reach* waits, and the attempt does not count."""

    def __init__(self, reason: str, *, until: datetime, reach: Reach = Reach.QUEUE) -> None:
        super().__init__(reason)
        self.until, self.reach = until, reach


class TryAgainLater(ProviderError):
    """A failure that may pass; without *after_seconds* the gateway's backoff sets the delay.

    The chat waits, or with *reach* QUEUE the whole queue. An attempt that does not *count* is
    repeated until the message expires.
    """

    def __init__(
        self,
        reason: str,
        *,
        after_seconds: float | None = None,
        reach: Reach = Reach.CHAT,
        counts: bool = True,
    ) -> None:
        if reach is Reach.FIRST_CONTACTS:
            raise ValueError("only Restricted reaches first contacts, because it has an end")
        super().__init__(reason)
        self.after_seconds, self.reach, self.counts = after_seconds, reach, counts


class Refused(ProviderError):
    """A final failure; sending again would fail again."""


class Unconfirmed(ProviderError):
    """The message was sent and no answer came; sending again could send it twice."""


class StartRefused(GatewayError):
    """The process must not start like this; the text says what to change."""


class InvalidSettings(StartRefused):
    """A setting is unknown, malformed or unsafe."""


class SchemaTooNew(StartRefused):
    """A newer version changed the database in a way this one cannot read."""


class NodeReplaced(StartRefused):
    """Another process uses the name of this node, so this process must stop."""

    def __init__(self, node_id: str) -> None:
        super().__init__(
            f"Another process runs as node {node_id}: give each its own GATEWAY_NODE_NAME"
        )
