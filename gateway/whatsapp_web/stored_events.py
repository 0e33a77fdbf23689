"""Reports the events that a session stored, and sets aside those that cannot be read."""

from functools import partial
from typing import Protocol

from gateway.observability.error_reports import report_error
from gateway.sessions.provider import ReportedEvent
from gateway.whatsapp_web.inbound import UnreadableEvent, events_of
from gateway.whatsapp_web.session import StoredEvent, WebSession


class EventStore(Protocol):
    """The provider's table of events."""

    async def delete_event(self, instance_id: str, event_id: int) -> None: ...

    async def set_event_aside(self, instance_id: str, event_id: int, *, error: str) -> bool:
        """Stores why an event cannot be read; returns False if that was known before."""
        ...


async def reports_of(
    event: StoredEvent, session: WebSession, store: EventStore
) -> list[ReportedEvent]:
    """Returns what a stored event says; it is deleted once the last of that is acknowledged.

    One that cannot be read says nothing and stays: each later session tries it again, which may run
    a version that can read it.
    """
    instance_id = session.spec.instance_id
    try:
        found = await events_of(event, session)
    except UnreadableEvent as error:
        cause = error.__cause__ or error
        if await store.set_event_aside(instance_id, event.id, error=type(cause).__name__):
            report_error(
                cause,
                component="whatsapp_web",
                instance_id=instance_id,
                message_type=event.name,
            )
        return []
    delete = partial(store.delete_event, instance_id, event.id)
    if not found:
        await delete()
        return []
    *facts, last = found
    return [
        *(
            ReportedEvent(fact, f"{event.id}.{number}", acknowledge_nothing)
            for number, fact in enumerate(facts)
        ),
        ReportedEvent(last, str(event.id), delete),
    ]


async def acknowledge_nothing() -> None:
    """The acknowledgement of an event that is not stored, or is deleted with another."""
