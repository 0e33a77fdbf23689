"""Acts on events as the instance is set: marks messages as read, and rejects calls.

Best effort: what waits is in memory, and a process that is killed loses it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from gateway.clock import Clock
from gateway.contract.internal.presence import MarkRead, RejectCall
from gateway.contract.spellings import STATUS_BROADCAST
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import GatewayError, Unavailable
from gateway.instances.store import Instance
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop
from gateway.sessions.provider import CallChanged, Event, MessageReceived
from gateway.sessions.router import SessionRouter

_MODIFY_CHAT = query("directory", "modify_chat")

_MAX_WAITING = 1_000
_MAX_AFTER_STOP = 50
_MAX_CALL_AGE: Final = timedelta(seconds=60)  # a caller has hung up by then
_MAX_WAIT_SECONDS = 300.0
_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 1.0, 15.0

EnqueueText = Callable[[Instance, str, str], Awaitable[object]]
"""Adds a text to the queue of an instance: the instance, the phone, the text."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    instance: Instance
    event: MessageReceived | CallChanged
    give_up_at: float


class AutoActions:
    """Acts on the events of an instance one after another, and on those of others meanwhile.

    While the session cannot act, an action is tried again: a rejection until the call is a minute
    old, a read receipt for five minutes. Any other failure is logged: no caller waits for the
    action. A process that stops acts on what waits, up to a limit.
    """

    def __init__(
        self, router: SessionRouter, database: Database, enqueue_text: EnqueueText, clock: Clock
    ) -> None:
        self._router, self._database, self._enqueue_text = router, database, enqueue_text
        self._clock = clock
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._acting: set[str] = set()
        self._wakeup = asyncio.Event()

    def on_event(self, instance: Instance, event: Event) -> None:
        """Takes an incoming message or call; skips it if too many of its instance wait."""
        match event:
            case MessageReceived(from_me=False) if marks_as_read(instance, event.chat):
                seconds = _MAX_WAIT_SECONDS
            case CallChanged(status="offered") if instance.call_reject_auto:
                # The event may come late, after its phone was out of reach.
                seconds = (event.at + _MAX_CALL_AGE - self._clock.now()).total_seconds()
            case _:
                return
        waiting = self._waiting.setdefault(instance.id, deque())
        if len(waiting) >= _MAX_WAITING:
            logger.warning("auto_action_skipped", instance_id=instance.id, reason="too_many")
            return
        give_up_at = self._clock.monotonic_seconds() + seconds
        waiting.append(_Waiting(instance, event, give_up_at))
        self._wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            loop = PeriodicLoop(
                "auto_actions",
                partial(self._start_acting, tasks, stopping),
                self._clock,
                wakeup=self._wakeup,
            )
            await loop.run_until(stopping)

    async def _start_acting(self, tasks: asyncio.TaskGroup, stopping: asyncio.Event) -> None:
        for instance_id in self._waiting.keys() - self._acting:
            self._acting.add(instance_id)
            tasks.create_task(
                self._act_on_waiting(instance_id, stopping), name=f"auto actions {instance_id}"
            )

    async def _act_on_waiting(self, instance_id: str, stopping: asyncio.Event) -> None:
        """Acts until nothing waits for this instance."""
        waiting, left = self._waiting[instance_id], _MAX_AFTER_STOP
        while waiting and left:
            left -= stopping.is_set()
            try:
                await self._act_in_time(waiting.popleft(), stopping)
            except Exception as error:  # noqa: BLE001 - one action must not end the others
                report_error(error, component="auto_actions", instance_id=instance_id)
        self._acting.remove(instance_id)
        del self._waiting[instance_id]

    async def _act_in_time(self, waiting: _Waiting, stopping: asyncio.Event) -> None:
        """Acts, and tries again while the session cannot act and there is time left."""
        instance_id, pause = waiting.instance.id, _MIN_PAUSE_SECONDS
        while self._clock.monotonic_seconds() < waiting.give_up_at:
            try:
                await self._act(waiting.instance, waiting.event)
            except GatewayError as error:
                may_repeat = isinstance(error, Unavailable) and not stopping.is_set()
                if not may_repeat or await self._clock.wait(stopping, pause):
                    logger.warning(
                        "auto_action_failed", instance_id=instance_id, error=type(error).__name__
                    )
                    return
                pause = min(2 * pause, _MAX_PAUSE_SECONDS)
            else:
                return
        logger.warning("auto_action_skipped", instance_id=instance_id, reason="too_late")

    async def _act(self, instance: Instance, event: MessageReceived | CallChanged) -> None:
        if isinstance(event, CallChanged):
            await self._reject(instance, event)
        else:
            await self._mark_as_read(instance, event)

    async def _reject(self, instance: Instance, call: CallChanged) -> None:
        await self._router.execute(instance, RejectCall(phone=call.chat, call_id=call.call_id))
        if instance.call_reject_message:
            await self._enqueue_text(instance, call.chat, instance.call_reject_message)

    async def _mark_as_read(self, instance: Instance, event: MessageReceived) -> None:
        await self._router.execute(
            instance,
            MarkRead(
                phone=event.chat,
                message_ids=(event.provider_message_id,),
                sender=event.sender,
            ),
        )
        if event.chat != STATUS_BROADCAST:
            await self._database.execute(
                _MODIFY_CHAT, instance_id=instance.id, phone=event.chat, action="read", at=None
            )


def marks_as_read(instance: Instance, chat: str) -> bool:
    """Whether messages of the chat are marked as read; a status needs both switches."""
    if chat == STATUS_BROADCAST:
        return instance.auto_read_message and instance.auto_read_status
    return instance.auto_read_message
