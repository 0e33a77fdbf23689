"""A server whose answers are costly to read; a process of its own.

It prints its port. Its argument names the attack.
"""

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """The beginning of an answer, what follows without end, and the pause between two of it."""

    head: bytes
    piece: bytes
    pause_seconds: float = 0.0


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
ATTACKS = {
    "refusal": Attack(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", b"", 3_600.0),  # no attack
    "chunks": Attack(_CHUNKED, b"1\r\nA\r\n" * 20_000),
    "continue": Attack(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000),
    "headers": Attack(_OK, b"a: b\r\n" * 20_000),
    "trailers": Attack(_CHUNKED + b"0\r\n", b"a: b\r\n" * 20_000),
    "drip": Attack(_OK + b"\r\n", b"A", 0.0002),
    "silence": Attack(b"", b"", 3_600.0),
}


async def serve(attack: Attack) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(attack.head)
            while True:
                writer.write(attack.piece)
                await writer.drain()
                await asyncio.sleep(attack.pause_seconds)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    os.nice(19)  # elsewhere it would not compete with the gateway for this machine
    asyncio.run(serve(ATTACKS[sys.argv[1]]))
