"""Wakes the readers of the outbox on this node when callbacks were written."""

from collections.abc import Callable


class CallbackNotifier:
    """Calls its subscribers after a transaction that wrote callbacks.

    A lost call does no harm: every subscriber also reads the database from time to time.
    """

    def __init__(self) -> None:
        self._subscribers: list[Callable[[], None]] = []

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Calls *wake* each time; it must return at once."""
        self._subscribers.append(wake)

    def callbacks_written(self) -> None:
        for wake in self._subscribers:
            wake()
