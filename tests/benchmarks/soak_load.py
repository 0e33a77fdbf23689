"""The load of `soak`, and whether each text had one callback, in memory that does not grow."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from functools import partial

from tests.benchmarks.enqueue import TOKEN
from tests.benchmarks.steady_load import Caller, phone_of

PEOPLE, PEOPLE_EACH = 5_000, 50
LATE_SECONDS = 1.0
"""What should have happened so long ago is left out: a load that catches up is another load."""
_CONNECTIONS = 32


def people_of(instance_id: str) -> list[str]:
    """Returns the phones that an instance has chats with; neighbours share half of them."""
    number = int(instance_id.removeprefix("BENCH"))
    return [phone_of((number * PEOPLE_EACH // 2 + n) % PEOPLE) for n in range(PEOPLE_EACH)]


class Callbacks:
    """Pairs texts with their callbacks, and stores only what has no pair yet.

    Messages that came in are numbered: of them it stores the gaps.
    """

    def __init__(self) -> None:
        self._awaited: dict[str, float] = {}
        self._unknown: set[str] = set()
        self.accepted = self.delivered = self.received = self.repeated = 0
        self._next, self._above = 0, set[int]()

    def text_accepted(self, message_id: str) -> None:
        self.accepted += 1
        if message_id in self._unknown:  # its callback was quicker than the answer
            self._unknown.remove(message_id)
            self.delivered += 1
        else:
            self._awaited[message_id] = time.monotonic()

    def called(self, line: str) -> None:
        """Takes a line of the receiver."""
        kind, _, message_id = line.partition(" ")
        if kind == "D":
            if self._awaited.pop(message_id, None) is None:
                self._unknown.add(message_id)
            else:
                self.delivered += 1
        elif message_id.startswith("IN"):
            self._came_in(int(message_id.removeprefix("IN")))

    def _came_in(self, number: int) -> None:
        if number < self._next or number in self._above:
            self.repeated += 1
            return
        self.received += 1
        self._above.add(number)
        while self._next in self._above:
            self._above.remove(self._next)
            self._next += 1

    @property
    def waiting(self) -> int:
        """Texts without a callback."""
        return len(self._awaited)

    @property
    def unmatched(self) -> int:
        """DeliveryCallbacks that no accepted text waits for: a second one, or of no known text."""
        return len(self._unknown)

    @property
    def oldest_seconds(self) -> float:
        """How long the first text that has no callback has waited."""
        first = next(iter(self._awaited.values()), None)
        return 0.0 if first is None else time.monotonic() - first


class SoakLoad:
    """So many texts a second, from a random instance to one of its people each."""

    def __init__(
        self, port: int, instance_ids: Sequence[str], per_second: float, callbacks: Callbacks
    ) -> None:
        self._port, self._per_second, self._callbacks = port, per_second, callbacks
        self._people = {instance_id: people_of(instance_id) for instance_id in instance_ids}
        self._instance_ids, self._random = list(instance_ids), random.Random(1)
        self._free: asyncio.Queue[Caller] = asyncio.Queue()
        self.milliseconds: list[float] = []
        self.refused = self.left_out = 0

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Sends until it is stopped, and returns when the last text is answered."""
        for _ in range(_CONNECTIONS):
            self._free.put_nowait(await self._connect())
        loop = asyncio.get_running_loop()
        due = loop.time()
        async with asyncio.TaskGroup() as group:
            while not stopping.is_set():
                await asyncio.sleep(max(0.0, due - loop.time()))
                if loop.time() - due > LATE_SECONDS or self._free.empty():
                    self.left_out += 1
                else:
                    group.create_task(self._send(self._free.get_nowait()))
                due += 1 / self._per_second
        while not self._free.empty():
            self._free.get_nowait().close()

    def taken(self) -> list[float]:
        """Returns the milliseconds that accepting took since the last call."""
        taken, self.milliseconds = self.milliseconds, []
        return taken

    async def _connect(self) -> Caller:
        loop, made = asyncio.get_running_loop(), partial(Caller, self._free)
        return (await loop.create_connection(made, "127.0.0.1", self._port))[1]

    async def _send(self, caller: Caller) -> None:
        instance_id = self._random.choice(self._instance_ids)
        phone, number = self._random.choice(self._people[instance_id]), self._random.randrange(9**6)
        body = json.dumps({"phone": phone, "message": f"Your order {number} is on its way."})
        request = (
            f"POST /instances/{instance_id}/token/{TOKEN}/send-text HTTP/1.1\r\nHost: bench\r\n"
            "Client-Token: client-token\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        if caller.is_closed:
            caller = await self._connect()
        began = time.perf_counter()
        answer = await caller.ask(request)
        self.milliseconds.append((time.perf_counter() - began) * 1_000)
        self._free.put_nowait(caller)
        if answer:
            self._callbacks.text_accepted(json.loads(answer)["messageId"])
        else:
            self.refused += 1
