"""`gateway` with a WhatsApp in memory, for `soak`: it also reports messages that people write.

    POST /sandbox/inbound?per_second=100   that many messages a second from now on; 0 stops
    GET  /sandbox/inbound                  how many were reported, and how many were left out

A message that would be over a second late is left out, as is one for a session whose last messages
the gateway has not taken yet.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from gateway.cli import main
from gateway.providers.sandbox import provider as sandbox
from gateway.sessions.events import MessageReceived
from gateway.sessions.provider import Authorise, Ingress, ProviderContext, SessionSpec
from tests.benchmarks.soak_load import LATE_SECONDS, people_of
from tests.benchmarks.steady_gateway import SteadyEngine, SteadyProvider, SteadySession

_MAX_UNREAD = 10
_WORDS = ("thank", "you", "please", "when", "will", "my", "order", "arrive", "today", "Friday")


class SoakSession(SteadySession):
    """A session in which people write, too."""

    def __init__(self, instance_id: str, *, has_receipts: bool) -> None:
        super().__init__(has_receipts=has_receipts)
        self._people = people_of(instance_id)

    def receive(self, number: int, dice: random.Random) -> bool:
        """Reports message *number* from one of the people; False if too many wait already."""
        if self._events.qsize() >= _MAX_UNREAD:
            return False
        person = dice.choice(self._people)
        text = " ".join(dice.choices(_WORDS, k=dice.randint(1, 30)))
        self._events.put_nowait(
            MessageReceived(
                f"IN{number}",
                person,
                person,
                f"Ana {person[-4:]}",
                from_me=False,
                at=datetime.now(UTC),
                kind="text",
                content={"text": {"message": text}},
            )
        )
        return True


class SoakEngine(SteadyEngine):
    def __init__(self) -> None:
        super().__init__(os.environ)
        self._sessions: list[SoakSession] = []
        self._per_second, self._reported, self._left_out = 0.0, 0, 0

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            people = group.create_task(self._write())
            await stopping.wait()
            people.cancel()

    @asynccontextmanager
    async def open_session(self, spec: SessionSpec) -> AsyncIterator[SoakSession]:
        session = SoakSession(spec.instance_id, has_receipts=self._has_receipts)
        self._sessions.append(session)
        try:
            yield session
        finally:
            self._sessions.remove(session)
            session.close()

    def ingress(self, _authorise: Authorise) -> Ingress:
        return Router([Route("/inbound", self._inbound, methods=["GET", "POST"])])

    async def _inbound(self, request: Request) -> Response:
        if request.method == "POST":
            self._per_second = float(request.query_params["per_second"])
        return JSONResponse({"reported": self._reported, "left_out": self._left_out})

    async def _write(self) -> None:
        loop, dice = asyncio.get_running_loop(), random.Random(1)
        due = loop.time()
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not self._per_second or not self._sessions:
                due = loop.time() + 0.1
                continue
            if loop.time() - due <= LATE_SECONDS and dice.choice(self._sessions).receive(
                self._reported, dice
            ):
                self._reported += 1
            else:
                self._left_out += 1
            due += 1 / self._per_second


class SoakProvider(SteadyProvider):
    def start(self, provider_context: ProviderContext) -> Any:
        return SoakEngine()


if __name__ == "__main__":
    sandbox.provider = SoakProvider()
    main()
