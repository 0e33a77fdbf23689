"""Processes the pending events of a session: each chat has a queue of its own, in order."""

import asyncio
from collections.abc import Awaitable, Callable

from psycopg import OperationalError

from gateway.clock import Clock
from gateway.errors import NotConnected, Unavailable
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.sessions.inbound.inbox import Inbox, PendingEvent

_RETRY_SECONDS = 0.05
_PAUSE_AFTER_FAILURE_SECONDS = 0.5

ProcessEvent = Callable[[PendingEvent], Awaitable[bool]]
"""Processes one event; returns False if the event must wait a little longer."""


class ChatQueues:
    """One task, in `tasks`, for each chat with pending events. `close` ends them all.

    A task is no PeriodicLoop: it ends when its queue is empty.
    """

    def __init__(self, inbox: Inbox, process: ProcessEvent, clock: Clock) -> None:
        self._inbox, self._process, self._clock = inbox, process, clock
        self._wakeups: dict[str, asyncio.Event] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def wake(self, chat: str) -> None:
        """Processes the pending events of a chat."""
        if wakeup := self._wakeups.get(chat):
            wakeup.set()
            return
        self._wakeups[chat] = asyncio.Event()
        task = asyncio.create_task(self._run(chat), name="inbox")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def resume(self) -> None:
        """Processes what an earlier session left pending."""
        for chat in await self._inbox.pending_chats():
            self.wake(chat)

    async def close(self) -> None:
        """Cancels the tasks and waits for their end. The next session resumes what is pending."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, chat: str) -> None:
        wakeup = self._wakeups[chat]
        try:
            while True:
                wakeup.clear()
                if not await self._step(chat) and not wakeup.is_set():
                    return
        except NotConnected:
            return  # the event needs WhatsApp: `resume` continues at the next connection
        finally:
            del self._wakeups[chat]

    async def _step(self, chat: str) -> bool:
        """Tries to process the oldest pending event; returns False if there is none."""
        try:
            if (pending := await self._inbox.next(chat)) is None:
                return False
            if not await self._process_or_record_error(pending):
                await self._clock.sleep(_RETRY_SECONDS)
        except NotConnected:
            raise
        except (Unavailable, OperationalError) as error:
            logger.warning("database_unavailable", component="inbox", error=str(error))
            await self._clock.sleep(_PAUSE_AFTER_FAILURE_SECONDS)
        except Exception as error:  # noqa: BLE001 - the task must outlive an error of the inbox
            report_error(error, component="inbox")
            await self._clock.sleep(_PAUSE_AFTER_FAILURE_SECONDS)
        return True

    async def _process_or_record_error(self, pending: PendingEvent) -> bool:
        try:
            return await self._process(pending)
        except (NotConnected, Unavailable, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - one event must not block its chat for ever
            report_error(error, component="inbound")
            await self._inbox.record_error(pending.event_id, type(error).__name__)
            return True
