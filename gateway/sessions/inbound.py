"""Writes down what a session tells, before it is acknowledged."""

from typing import assert_never

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.history.store import History
from gateway.instances.store import Instance
from gateway.observability.logging import logger
from gateway.sessions.provider import (
    ConnectionChanged,
    Event,
    MessageAcknowledged,
    MessageReceived,
)

_NOTE_CONNECTION = query("sessions", "note_connection")

_WAIT_FOR_RECORD_SECONDS = 10.0
_ROUND_SECONDS = 0.05
_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 0.5


class Inbound:
    """Every event ends in the database, or is told again."""

    def __init__(self, database: Database, history: History, clock: Clock) -> None:
        self._database, self._history, self._clock = database, history, clock

    async def take(self, instance: Instance, epoch: int, event: Event) -> None:
        """Returns once the event is committed, however long the database is away."""
        while True:
            try:
                await self._write(instance, epoch, event)
            except DatabaseUnavailable as error:
                logger.warning("event_delayed", instance_id=instance.id, error=str(error))
                await self._clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)
            else:
                return

    async def _write(self, instance: Instance, epoch: int, event: Event) -> None:
        match event:
            case ConnectionChanged():
                await self._database.execute(
                    _NOTE_CONNECTION,
                    instance_id=instance.id,
                    epoch=epoch,
                    state=event.state.value,
                    phone=event.phone,
                    reason=event.reason,
                    at=event.at,
                )
            case MessageReceived():
                await self._history.add_received(
                    instance.id,
                    message_id=event.provider_message_id,
                    chat=event.chat,
                    sender=event.sender,
                    from_me=event.from_me,
                    at=event.at,
                    kind=event.kind,
                    payload=event.content,
                    provider_data=event.provider_data,
                )
            case MessageAcknowledged():
                await self._acknowledge(instance, event)
            case _:
                assert_never(event)

    async def _acknowledge(self, instance: Instance, event: MessageAcknowledged) -> None:
        """A receipt may overtake the record of its message: wait for that, within bounds."""
        give_up_at = self._clock.monotonic_seconds() + _WAIT_FOR_RECORD_SECONDS
        while not await self._history.acknowledge(
            instance.id, event.provider_message_ids, status=event.status, at=event.at
        ):
            if self._clock.monotonic_seconds() > give_up_at or not await self._history.on_their_way(
                instance.id, event.provider_message_ids
            ):
                return
            await self._clock.sleep(_ROUND_SECONDS)
