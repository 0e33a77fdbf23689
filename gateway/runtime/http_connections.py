"""The connections of one listener: how many there may be, and which one yields to another."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics

_LOG_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How long a connection may take for what, and how many there may be.

    Attributes:
        max_connections: open connections of the listener.
        header_seconds: from the first byte of a request, or from the connection, to the end of
            its headers.
        body_idle_seconds: without a byte of a body that has not ended; as long again passes before
            the rate counts.
        body_bytes_per_second: the lowest average rate of a body.
        keep_alive_seconds: between two requests.
    """

    max_connections: int = 10_000
    header_seconds: float = 20.0
    body_idle_seconds: float = 30.0
    body_bytes_per_second: float = 500.0
    keep_alive_seconds: float = 75.0


class YieldingConnection(Protocol):
    """An open connection."""

    def yield_place(self) -> None:
        """Closes the connection, because another one needs its place."""


@dataclass(slots=True)
class ConnectionRegister:
    """Counts the connections of a listener.

    At the limit the connection that has waited longest yields its place: one between two requests,
    one whose request has no complete headers, or one whose client does not read its answer. So
    unfinished requests and unread answers, however many, keep no caller out. Where every connection
    has a request in work, a new one is refused.
    """

    listener: str
    limits: ConnectionLimits
    metrics: Metrics | None
    monotonic_seconds: Callable[[], float]
    _open: set[YieldingConnection] = field(default_factory=set)
    _waiting: OrderedDict[YieldingConnection, None] = field(default_factory=OrderedDict)
    _logged_at: float = -math.inf

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: YieldingConnection) -> bool:
        """Counts a new connection, which waits for its first request; False refuses it."""
        if len(self._open) >= self.limits.max_connections:
            self._log_full()
            if not self._waiting:
                self.count_refusal("full")
                return False
            longest, _ = self._waiting.popitem(last=False)
            self.count_refusal("yielded")
            self.remove(longest)
            longest.yield_place()
        self._open.add(connection)
        self._waiting[connection] = None
        self._show_count()
        return True

    def remove(self, connection: YieldingConnection) -> None:
        """Counts a connection no more; twice does no harm."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        self._show_count()

    def waits(self, connection: YieldingConnection) -> None:
        """Notes that the connection waits for its client."""
        if connection in self._open:
            self._waiting[connection] = None

    def works(self, connection: YieldingConnection) -> None:
        """Notes that the connection has a request with complete headers."""
        self._waiting.pop(connection, None)

    def count_refusal(self, reason: str) -> None:
        if self.metrics:
            self.metrics.connection_refused(self.listener, reason)

    def _show_count(self) -> None:
        if self.metrics:
            self.metrics.connections_changed(self.listener, len(self._open))

    def _log_full(self) -> None:
        """Logs at most once a minute: thousands of connections may come in a second."""
        now = self.monotonic_seconds()
        if now - self._logged_at >= _LOG_SECONDS:
            self._logged_at = now
            logger.warning(
                "connection_limit_reached",
                listener=self.listener,
                max_connections=self.limits.max_connections,
                waiting=len(self._waiting),
            )
