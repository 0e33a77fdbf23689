"""Sends requests as an attacker does: endlessly, halfway, or as many as possible."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

FLOOD_CONNECTIONS: Final = 32
PIECE_BYTES: Final = 64 * 1024


@dataclass
class Attacker:
    """One account and its instances, and what was answered to it."""

    base_url: str
    instances: list[str]
    """The beginnings of the instances' routes."""
    client_token: str
    partner_token: str
    hostile_url: str = ""
    answered: Counter[str] = field(default_factory=Counter)
    folder: Path = Path()
    files_url: str = ""
    """Of a server that gives the files in *folder*, and is not hostile itself."""

    def instance(self, number: int = 0) -> str:
        return self.instances[number % len(self.instances)]

    def head(self, method: str, path: str, size: int, *further: str) -> bytes:
        lines = (
            f"{method} {path} HTTP/1.1",
            f"Host: {urlsplit(self.base_url).netloc}",
            f"Client-Token: {self.client_token}",
            f"Authorization: Bearer {self.partner_token}",
            "Content-Type: application/json",
            f"Content-Length: {size}",
            *further,
        )
        return "\r\n".join((*lines, "", "")).encode()

    def request(self, method: str, path: str, body: object = None) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        return self.head(method, path, len(content)) + content

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = urlsplit(self.base_url)
        return await asyncio.open_connection(address.hostname, address.port)

    async def repeat(self, requests: Iterator[bytes], *, connections: int = 1) -> None:
        """Sends the requests on some connections, one after the other on each."""

        async def one() -> None:
            for request in requests:
                await self.send(request)

        await all_of(one() for _ in range(connections))

    async def send(self, request: bytes) -> None:
        """Sends a request on a new connection and counts its status."""
        try:
            reader, writer = await self.connect()
        except OSError:
            self.answered["not connected"] += 1
            await asyncio.sleep(0.1)
            return
        reading = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        try:
            with suppress(OSError):
                for at in range(0, len(request), PIECE_BYTES):
                    if reading.done():
                        break
                    writer.write(request[at : at + PIECE_BYTES])
                    await writer.drain()
            self.count(await reading)
        except (OSError, EOFError):
            self.answered["closed"] += 1
        finally:
            writer.close()
            reading.cancel()

    def count(self, answer: bytes) -> None:
        status = answer[9:12].decode() if answer.startswith(b"HTTP/1.1 ") else "closed"
        self.answered[status] += 1

    async def flood(self, requests: Iterator[bytes]) -> None:
        """Sends the requests as fast as they are answered, on connections that stay open."""

        async def one() -> None:
            reader, writer = await self.connect()
            for request in requests:
                try:
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = head.lower().partition(b"content-length:")[2].partition(b"\r")[0]
                    await reader.readexactly(int(length or 0))
                    self.count(head)
                except (OSError, EOFError):
                    self.answered["closed"] += 1
                    writer.close()
                    reader, writer = await self.connect()

        await all_of(one() for _ in range(FLOOD_CONNECTIONS))

    async def open_many(
        self, count: int, beginning: bytes, *, trickle: bytes = b"", seconds: float = 1.0
    ) -> None:
        """Opens connections that send *beginning*, and a little more from time to time."""

        async def one() -> None:
            reader, writer = await self.connect()
            writer.write(beginning)
            reading = asyncio.create_task(reader.read())
            while not reading.done():
                await asyncio.wait({reading}, timeout=seconds)
                writer.write(trickle)
            self.count(reading.result())
            writer.close()

        await all_of(one() for _ in range(count))


async def all_of(works: Iterator[Awaitable[None]]) -> None:
    await asyncio.gather(*works, return_exceptions=True)
