"""Hands the events of accounts to a sink of this gateway, and keeps the position in Postgres."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from gateway.clock import Clock
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop
from gateway.webhooks.event_log import EventLog, LoggedEvent, LogReader, Position, Reading

_PAGE = 500
_IDLE_SECONDS, _RETRY_SECONDS = 1.0, 1.0
_BUSY_SECONDS = 0.02
_RENEW_SECONDS = 3_600.0


class SinkUnavailable(Exception):
    """The sink did not store the events: the consumer hands them over again."""


Sink = Callable[[Sequence[LoggedEvent]], Awaitable[None]]
"""Returns once it has stored the events; raises SinkUnavailable otherwise."""


class EventConsumer:
    """Hands the events of some accounts to a sink until it is stopped.

    Each account's events arrive in order and at least once: the position is stored after the
    sink returned. Of several nodes one at a time consumes for an account.
    """

    def __init__(
        self,
        name: str,
        log: EventLog,
        sink: Sink,
        clock: Clock,
        *,
        accounts: Callable[[], Awaitable[Sequence[str]]],
        node_id: str,
    ) -> None:
        """Prepares the consumer.

        Args:
            name: of the subscription; two consumers with different names are independent.
            log: the events.
            sink: takes a page of events.
            clock: time.
            accounts: returns the ids of the accounts; called every hour.
            node_id: this node.
        """
        self._name, self._log, self._sink, self._clock = name, log, sink, clock
        self._accounts, self._node_id = accounts, node_id
        self._account_ids: list[str] = []
        self._committed: dict[str, Position] = {}
        self._renew_at = 0.0
        self._loop = PeriodicLoop(name, self._consume, clock)

    def wake(self) -> None:
        """Reads at once: there may be events."""
        self._loop.wake()

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _consume(self) -> float:
        try:
            return await self._consume_page()
        except SinkUnavailable:
            return _RETRY_SECONDS  # the next run acquires again: another node may have taken over

    async def _consume_page(self) -> float:
        await self._renew()
        readers = [
            LogReader(account_id, position, self._committed.get(account_id) == position)
            for account_id, position in await self._log.acquire(
                self._name, self._account_ids, self._node_id
            )
        ]
        reading = await self._log.read(readers, max_count=_PAGE)
        self._log_gaps(readers, reading)
        if reading.events:
            await self._sink(reading.events)
        await self._commit(readers, reading)
        if reading.events:
            return 0.0
        return _BUSY_SECONDS if reading.more else _IDLE_SECONDS

    def _log_gaps(self, readers: Sequence[LogReader], reading: Reading) -> None:
        for gap in reading.gaps:
            logger.warning(
                "events_missing",
                component=self._name,
                account_id=readers[gap.reader].account_id,
                reason=gap.reason,
            )

    async def _commit(self, readers: Sequence[LogReader], reading: Reading) -> None:
        """Stores the positions that changed, in this process too."""
        read_to = {readers[n].account_id: position for n, position in reading.resumed.items()}
        read_to |= {readers[event.reader].account_id: event.position for event in reading.events}
        if read_to:
            await self._log.commit(self._name, read_to, self._node_id)
            self._committed |= read_to

    async def _renew(self) -> None:
        now = self._clock.monotonic_seconds()
        if now >= self._renew_at:
            self._account_ids = sorted(set(await self._accounts()))
            await self._log.subscribe(self._name, self._account_ids)
            self._renew_at = now + _RENEW_SECONDS
