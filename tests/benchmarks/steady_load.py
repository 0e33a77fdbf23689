"""The load of `steady`: every instance sends at its own moments, whatever became of the last."""

import asyncio
import json
import random
import time
from functools import partial
from typing import cast

from tests.benchmarks.enqueue import TOKEN

CHATS = 10
_CONNECTIONS = 32


class Caller(asyncio.Protocol):
    """A connection that stays open; one request at a time."""

    def __init__(self, free: "asyncio.Queue[Caller]") -> None:
        self._free, self._unread = free, b""
        self.answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, mark, body = self._unread.partition(b"\r\n\r\n")
        if not mark or len(body) < int(head.lower().partition(b"content-length: ")[2].split()[0]):
            return
        self._unread = b""
        if self.answer and not self.answer.done():
            self.answer.set_result(body if head.startswith(b"HTTP/1.1 200") else b"")

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer and not self.answer.done():
            self.answer.set_result(b"")

    async def ask(self, request: bytes) -> bytes:
        """Returns the body of the answer; nothing unless it is 200."""
        self.answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self.answer

    @property
    def is_closed(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()


class Load:
    """Every instance sends at its own moments, whatever became of its last text."""

    def __init__(self, port: int, instance_ids: list[str], every: float) -> None:
        self._port, self._instance_ids, self._every = port, instance_ids, every
        self._random = random.Random(1)
        self._free: asyncio.Queue[Caller] = asyncio.Queue()
        self.accepted: list[str] = []
        self.milliseconds: list[float] = []
        self.refused = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_CONNECTIONS):
            made = partial(Caller, self._free)
            _, caller = await loop.create_connection(made, "127.0.0.1", self._port)
            self._free.put_nowait(caller)

    async def run(self, seconds: float) -> None:
        """Sends for so long, and returns when the last text is answered."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        moments = sorted(
            (first + turn * self._every, instance_id)
            for instance_id in self._instance_ids
            for first in [self._random.uniform(0, self._every)]
            for turn in range(int(seconds / self._every) + 1)
            if first + turn * self._every < seconds
        )
        async with asyncio.TaskGroup() as group:
            for at, instance_id in moments:
                await asyncio.sleep(max(0.0, began + at - loop.time()))
                group.create_task(self._send(instance_id))

    async def burst(self, texts: int) -> None:
        """Sends so many, each connection the next as soon as the last is answered."""
        waiting = iter([self._random.choice(self._instance_ids) for _ in range(texts)])

        async def send_all() -> None:
            for instance_id in waiting:
                await self._send(instance_id)

        async with asyncio.TaskGroup() as group:
            for _ in range(_CONNECTIONS):
                group.create_task(send_all())

    async def _send(self, instance_id: str) -> None:
        body = json.dumps(
            {
                "phone": phone_of(self._random.randrange(CHATS)),
                "message": "Your order 4711 is on its way.",
            }
        )
        request = (
            f"POST /instances/{instance_id}/token/{TOKEN}/send-text HTTP/1.1\r\nHost: bench\r\n"
            "Client-Token: client-token\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        began = time.perf_counter()
        caller = await self._free.get()
        answer = await caller.ask(request)
        self._free.put_nowait(caller)
        self.milliseconds.append((time.perf_counter() - began) * 1_000)
        if answer:
            self.accepted.append(json.loads(answer)["messageId"])
        else:
            self.refused += 1

    def close(self) -> None:
        while not self._free.empty():
            self._free.get_nowait().close()


def phone_of(chat: int) -> str:
    return f"55119{98760000 + chat}"
