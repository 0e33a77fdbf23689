"""The child's end of the socket to the engine."""

import asyncio
import itertools
from typing import Any

from gateway.providers.whatsmeow.child.frames import (
    CommandReply,
    LibraryEvent,
    SuspensionPhase,
    packed,
)

_QUIET_SECONDS = 0.2


class Link:
    """Replies to the engine's commands, and reports the library's events to it."""

    def __init__(self, writer: asyncio.StreamWriter, loop: asyncio.AbstractEventLoop) -> None:
        self._writer, self._loop = writer, loop
        self._numbers = itertools.count(1)
        self._unacknowledged: dict[int, asyncio.Future[None]] = {}

    def reply(self, reply: CommandReply) -> None:
        self._writer.write(packed(reply))

    def report_phase(self, phase: SuspensionPhase) -> None:
        self._writer.write(packed(phase))

    def acknowledged(self, number: int) -> None:
        """Lets the library go on after the event of this number."""
        if acknowledgement := self._unacknowledged.pop(number, None):
            acknowledgement.set_result(None)

    async def quiet(self) -> None:
        """Returns when every event is acknowledged, and no other came for a moment."""
        await asyncio.sleep(_QUIET_SECONDS)
        while waiting := set(self._unacknowledged.values()):
            await asyncio.wait(waiting)
            await asyncio.sleep(_QUIET_SECONDS)

    def report_and_wait(
        self, instance_id: str, name: str, body: dict[str, Any], *, releases: bool = False
    ) -> None:
        """Reports an event from a thread of Go's, and blocks it until the engine has stored it."""
        reporting = self.report(instance_id, name, body, releases=releases)
        asyncio.run_coroutine_threadsafe(reporting, self._loop).result()

    def report_soon(self, instance_id: str, name: str, body: dict[str, Any]) -> None:
        """Reports an event from a thread of Go's, and does not block it."""
        asyncio.run_coroutine_threadsafe(self.report(instance_id, name, body), self._loop)

    async def report(
        self, instance_id: str, name: str, body: dict[str, Any], *, releases: bool = False
    ) -> None:
        """Reports an event; returns when the engine has acknowledged it."""
        number = next(self._numbers)
        self._unacknowledged[number] = acknowledged = self._loop.create_future()
        self._writer.write(packed(LibraryEvent(number, instance_id, name, body, releases)))
        await acknowledged
