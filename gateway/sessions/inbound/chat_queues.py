"""Settles what could not be settled at once, each chat on its own and in order."""

import asyncio
from collections.abc import Awaitable, Callable

from psycopg import OperationalError

from gateway.clock import Clock
from gateway.errors import NotConnected, Unavailable
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.sessions.inbound.inbox import Inbox, PendingEvent

_ROUND_SECONDS = 0.05
_PAUSE_AFTER_TROUBLE_SECONDS = 0.5

Settle = Callable[[PendingEvent], Awaitable[bool]]
"""Settles one event for good; False where it must wait a little longer."""


class Lines:
    """One task, in `tasks`, for each chat that has something left."""

    def __init__(self, inbox: Inbox, process: Settle, clock: Clock) -> None:
        self._inbox, self._settle, self._clock = inbox, process, clock
        self._again: dict[str, asyncio.Event] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def go_on(self, chat: str) -> None:
        """There is something to settle in *chat*."""
        if again := self._again.get(chat):
            again.set()
            return
        self._again[chat] = asyncio.Event()
        task = asyncio.create_task(self._empty(chat), name="inbox")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def resume(self) -> None:
        """Goes on with whatever an earlier session left."""
        for chat in await self._inbox.pending_chats():
            self.go_on(chat)

    async def close(self) -> None:
        """What is left waits for the next session."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _empty(self, chat: str) -> None:
        again = self._again[chat]
        try:
            while True:
                again.clear()
                if not await self._step(chat) and not again.is_set():
                    return
        except NotConnected:
            return  # the next connection resumes it
        finally:
            del self._again[chat]

    async def _step(self, chat: str) -> bool:
        """Settles the oldest event, or tries to; False when there is none."""
        pending = None
        try:
            if (pending := await self._inbox.next(chat)) is None:
                return False
            if not await self._settle(pending):
                await self._clock.sleep(_ROUND_SECONDS)
        except NotConnected:
            raise
        except (Unavailable, OperationalError) as error:
            logger.warning("inbox_waits_for_database", error=str(error))
            await self._clock.sleep(_PAUSE_AFTER_TROUBLE_SECONDS)
        except Exception as error:  # noqa: BLE001 - one event must not hold up its chat for ever
            report_error(error, component="inbound")
            if pending:
                await self._inbox.note_error(pending.event_id, type(error).__name__)
        return True
