"""A process that asks as fast as it is answered: `python -m tests.benchmarks.http_load`.

Reads from stdin: port, connections, seconds, and the requests as base64, one a line. Writes one
line of JSON: requests per second, p50 and p99 in milliseconds, and answers other than 200.
"""

import asyncio
import base64
import json
import random
import sys
import time
from functools import partial
from typing import cast

import uvloop

from tests.benchmarks.harness import percentile


class Caller(asyncio.Protocol):
    """One connection: the next request as soon as the last one is answered."""

    def __init__(self, requests: list[bytes], stop_at: float) -> None:
        self.requests, self.stop_at = requests, stop_at
        self.seconds: list[float] = []
        self.refused = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, mark, body = self._unread.partition(b"\r\n\r\n")
        if not mark or len(body) < int(head.lower().partition(b"content-length: ")[2].split()[0]):
            return
        self._unread = b""
        now = time.perf_counter()
        self.seconds.append(now - self.asked_at)
        self.refused += not head.startswith(b"HTTP/1.1 200")
        if now < self.stop_at:
            self._ask()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set_result(None)

    def _ask(self) -> None:
        self.asked_at = time.perf_counter()
        self.transport.write(random.choice(self.requests))


def _itself(caller: Caller) -> Caller:
    return caller


async def run(port: int, connections: int, seconds: float, requests: list[bytes]) -> None:
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    callers = [Caller(requests, began + seconds) for _ in range(connections)]
    for caller in callers:
        await loop.create_connection(partial(_itself, caller), "127.0.0.1", port)
    await asyncio.gather(*(caller.done for caller in callers))
    taken = time.perf_counter() - began
    times = [s * 1_000 for caller in callers for s in caller.seconds]
    result = {
        "rate": len(times) / taken,
        "p50": percentile(times, 50),
        "p99": percentile(times, 99),
        "refused": sum(caller.refused for caller in callers),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    port, connections, seconds, *encoded = sys.stdin.read().split()
    uvloop.run(
        run(int(port), int(connections), float(seconds), [base64.b64decode(e) for e in encoded])
    )
