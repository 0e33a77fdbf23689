"""Notices a session that connects again and again, and never stays connected."""

from collections import deque

from gateway.observability.logging import logger

_LOOP_SECONDS, _LOOP_CONNECTIONS = 300.0, 5


class ConnectionLoop:
    """The latest connections of one instance; it logs an error when they are too many."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self._connections: deque[float] = deque(maxlen=_LOOP_CONNECTIONS)

    def note(self, now: float) -> None:
        """Notes a connection at *now*, in seconds on the monotonic clock."""
        self._connections.append(now)
        passed = now - self._connections[0]
        if len(self._connections) == _LOOP_CONNECTIONS and passed < _LOOP_SECONDS:
            logger.error(
                "reconnect_loop",
                instance_id=self._instance_id,
                times=_LOOP_CONNECTIONS,
                seconds=round(passed),
            )
