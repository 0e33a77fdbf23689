"""What an instance does by itself when something comes in: read it, or reject the call."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.contract.internal.presence import MarkRead, RejectCall
from gateway.contract.wire import STATUS_BROADCAST
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import GatewayError
from gateway.instances.store import Instance
from gateway.observability.logging import logger
from gateway.sessions.provider import CallChanged, Event, MessageReceived
from gateway.sessions.router import SessionRouter
from gateway.wakeups import waking

_MODIFY_CHAT = query("directory", "modify_chat")

_MAX_WAITING = 10_000

Write = Callable[[Instance, str, str], Awaitable[object]]
"""Queues a text to a number."""


class AutoActions:
    """Part of the service. What fails is logged: nobody waits for an answer."""

    def __init__(self, router: SessionRouter, database: Database, write: Write) -> None:
        self._router, self._database, self._write = router, database, write
        self._heard: list[tuple[Instance, MessageReceived | CallChanged]] = []
        self._wakeup = asyncio.Event()

    def hear(self, instance: Instance, event: Event) -> None:
        match event:
            case MessageReceived(from_me=False) | CallChanged(status="offered"):
                pass
            case _:
                return
        if len(self._heard) >= _MAX_WAITING:
            logger.warning("habit_skipped", instance_id=instance.id)
            return
        self._heard.append((instance, event))
        self._wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                await self._wakeup.wait()
                self._wakeup.clear()
                heard, self._heard = self._heard, []
                for instance, event in heard:
                    try:
                        await self._follow(instance, event)
                    except GatewayError as error:
                        logger.warning(
                            "habit_failed", instance_id=instance.id, error=type(error).__name__
                        )

    async def _follow(self, instance: Instance, event: MessageReceived | CallChanged) -> None:
        match event:
            case CallChanged():
                if instance.call_reject_auto:
                    await self._reject(instance, event)
            case MessageReceived():
                if reads(instance, event.chat):
                    await self._read(instance, event)

    async def _reject(self, instance: Instance, call: CallChanged) -> None:
        await self._router.execute(instance, RejectCall(phone=call.chat, call_id=call.call_id))
        if instance.call_reject_message:
            await self._write(instance, call.chat, instance.call_reject_message)

    async def _read(self, instance: Instance, event: MessageReceived) -> None:
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


def reads(instance: Instance, chat: str) -> bool:
    """Whether what comes in there is read at once; statuses take both switches."""
    if chat == STATUS_BROADCAST:
        return instance.auto_read_message and instance.auto_read_status
    return instance.auto_read_message
