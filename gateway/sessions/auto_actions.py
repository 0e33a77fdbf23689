"""Acts on events as the instance is set: marks messages as read, and rejects calls."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.clock import Clock
from gateway.contract.internal.presence import MarkRead, RejectCall
from gateway.contract.spellings import STATUS_BROADCAST
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import GatewayError
from gateway.instances.store import Instance
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop
from gateway.sessions.provider import CallChanged, Event, MessageReceived
from gateway.sessions.router import SessionRouter

_MODIFY_CHAT = query("directory", "modify_chat")

_MAX_WAITING = 10_000

EnqueueText = Callable[[Instance, str, str], Awaitable[object]]
"""Adds a text to the queue of an instance: the instance, the phone, the text."""


class AutoActions:
    """Acts on one event after another. A failure is logged: no caller waits for the action."""

    def __init__(
        self, router: SessionRouter, database: Database, enqueue_text: EnqueueText, clock: Clock
    ) -> None:
        self._router, self._database, self._enqueue_text = router, database, enqueue_text
        self._waiting: deque[tuple[Instance, MessageReceived | CallChanged]] = deque()
        self._loop = PeriodicLoop("auto_actions", self._act_on_waiting, clock)

    def on_event(self, instance: Instance, event: Event) -> None:
        """Takes an incoming message or call; skips it if too many wait."""
        match event:
            case MessageReceived(from_me=False) | CallChanged(status="offered"):
                pass
            case _:
                return
        if len(self._waiting) >= _MAX_WAITING:
            logger.warning("auto_action_skipped", instance_id=instance.id)
            return
        self._waiting.append((instance, event))
        self._loop.wake()

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _act_on_waiting(self) -> None:
        for _ in range(len(self._waiting)):
            instance, event = self._waiting.popleft()
            try:
                await self._act(instance, event)
            except GatewayError as error:
                logger.warning(
                    "auto_action_failed", instance_id=instance.id, error=type(error).__name__
                )

    async def _act(self, instance: Instance, event: MessageReceived | CallChanged) -> None:
        match event:
            case CallChanged():
                if instance.call_reject_auto:
                    await self._reject(instance, event)
            case MessageReceived():
                if marks_as_read(instance, event.chat):
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
                _MODIFY_CHAT, instance_id=instance.id, phone=event.chat, action="read"
            )


def marks_as_read(instance: Instance, chat: str) -> bool:
    """Whether messages of the chat are marked as read; a status needs both switches."""
    if chat == STATUS_BROADCAST:
        return instance.auto_read_message and instance.auto_read_status
    return instance.auto_read_message
