"""The child's end of the socket."""

import asyncio
import itertools
from typing import Any

from gateway.providers.whatsmeow.child.frames import Answer, Tell, packed

_MOMENT_SECONDS = 0.2


class Link:
    """Answers the engine, and tells it what happens."""

    def __init__(self, writer: asyncio.StreamWriter, loop: asyncio.AbstractEventLoop) -> None:
        self._writer, self._loop = writer, loop
        self._numbers = itertools.count(1)
        self._told: dict[int, asyncio.Future[None]] = {}

    def answer(self, answer: Answer) -> None:
        self._writer.write(packed(answer))

    def acknowledged(self, number: int) -> None:
        if told := self._told.pop(number, None):
            told.set_result(None)

    async def quiet(self) -> None:
        """Returns when nothing was told for a moment that is not yet acknowledged."""
        await asyncio.sleep(_MOMENT_SECONDS)
        while told := set(self._told.values()):
            await asyncio.wait(told)
            await asyncio.sleep(_MOMENT_SECONDS)

    def tell_and_wait(self, instance_id: str, name: str, body: dict[str, Any]) -> None:
        """Called on a thread of Go's: the library goes on once the engine has it safe."""
        asyncio.run_coroutine_threadsafe(self.tell(instance_id, name, body), self._loop).result()

    def tell_soon(self, instance_id: str, name: str, body: dict[str, Any]) -> None:
        """As `tell_and_wait`, for what the library need not wait for."""
        asyncio.run_coroutine_threadsafe(self.tell(instance_id, name, body), self._loop)

    async def tell(self, instance_id: str, name: str, body: dict[str, Any]) -> None:
        number = next(self._numbers)
        self._told[number] = told = self._loop.create_future()
        self._writer.write(packed(Tell(number, instance_id, name, body)))
        await told
