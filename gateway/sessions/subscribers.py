"""Publishes the events of all sessions to the parts of this node that subscribe to them."""

from collections.abc import Callable

from gateway.instances.store import Instance
from gateway.sessions.events import Event

OnEvent = Callable[[Instance, Event], None]
"""Is called with each event. It must return at once, and must not raise."""


class EventSubscribers:
    """The subscribers of one node, in the order in which they subscribed.

    Subscribe while the node is built: an event that was published before is not repeated.
    """

    def __init__(self) -> None:
        self._subscribers: list[OnEvent] = []

    def subscribe(self, on_event: OnEvent) -> None:
        """Calls *on_event* for every event, after the event is stored."""
        self._subscribers.append(on_event)

    def publish(self, instance: Instance, event: Event) -> None:
        for on_event in self._subscribers:
            on_event(instance, event)
