"""How exactly 2,000 busy lines keep their pace of 1 to 3 seconds.

Measured where the provider is called: the gap between two messages of a line, without the wait
that was drawn for the second one. BENCHMARK_LINES sets another number of lines.
"""

import asyncio
import os
import random
import time
from dataclasses import replace

from gateway.administration.listing import InstanceFilter, list_instances
from gateway.contract.send import OutgoingMessage
from gateway.send_queue.pacing import Pace, SendPolicy
from gateway.send_queue.worker import Worker
from gateway.sessions.provider import Attempt, Receipt
from tests.benchmarks.drain import AcceptsAtOnce, fill, running
from tests.benchmarks.harness import fresh_database, main, percentile, say
from tests.fixtures.queue import new_node

_LINES, _SECONDS = int(os.environ.get("BENCHMARK_LINES", "2000")), 30.0


class Timed(AcceptsAtOnce):
    """Notes when its line sent, and how much later that was than drawn."""

    def __init__(self, drawn: dict[object, float], leaving: asyncio.Event) -> None:
        self._drawn, self._leaving = drawn, leaving
        self._sent_at, self.late = 0.0, list[float]()

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        now = time.perf_counter()
        if self._sent_at and not self._leaving.is_set():
            drawn = self._drawn[asyncio.current_task()]
            self.late.append((now - self._sent_at - drawn) * 1_000)
        self._sent_at = now
        return await super().send(message, attempt)


async def run(server_url: str) -> None:
    say(f"pace: {_LINES:,} lines at 1 to 3 s, for {_SECONDS:g} s")
    drawn: dict[object, float] = {}

    def draw(low: float, high: float) -> float:
        seconds = drawn[asyncio.current_task()] = random.uniform(low, high)
        return seconds

    async with fresh_database(server_url) as url:
        await fill(url, _LINES, int(_SECONDS))
        node = await new_node(url)
        async with running(node):
            node.leases.may_act_until = float("inf")
            context = replace(
                node.worker_dependencies(), uniform=draw, send_policy=SendPolicy(Pace(1.0, 3.0))
            )
            leaving, wakeup = asyncio.Event(), asyncio.Event()
            sessions, tasks = [Timed(drawn, leaving) for _ in range(_LINES)], []
            instances = await list_instances(node.database, InstanceFilter())
            for instance, session in zip(instances, sessions, strict=True):
                worker = Worker(node.live(instance, session), context, wakeup)
                tasks.append(asyncio.create_task(worker.run_until(leaving)))
            await asyncio.sleep(_SECONDS)
            leaving.set()
            wakeup.set()
            await asyncio.gather(*tasks)
    late = [ms for session in sessions for ms in session.late]
    p50, p99 = percentile(late, 50), percentile(late, 99)
    say(f"  {len(late):,} gaps, longer than drawn: p50 {p50:.0f} ms, p99 {p99:.0f} ms (aim 100)")


if __name__ == "__main__":
    main(run)
