"""`gateway` with a WhatsApp in memory: `python -m tests.benchmarks.steady_gateway serve`.

The sandbox stores what it simulates in Postgres, so its statements would count as the gateway's.
This one accepts each message after a moment, and with STEADY_RECEIPTS=true reports that it was
delivered and read, and an answer to every tenth.
"""

import asyncio
import itertools
import os
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from starlette.routing import Router

from gateway.cli import main
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.contacts import LookUpPhones
from gateway.errors import NotSupported
from gateway.providers.sandbox import provider as sandbox
from gateway.providers.sandbox.messages import sends
from gateway.sessions.connection import ConnectionState
from gateway.sessions.events import ConnectionChanged, Event, MessageAcknowledged, MessageReceived
from gateway.sessions.provider import (
    Attempt,
    Authorise,
    Ingress,
    ProviderContext,
    Receipt,
    ReportedEvent,
    SessionSpec,
)

_ACCEPT_SECONDS = (0.05, 0.2)  # as the sandbox; what starts together does not end together
_DELIVERED_SECONDS, _READ_SECONDS, _ANSWER_SECONDS = 0.4, 1.5, 2.0
_ANSWERS_ONE_IN = 10


class SteadySession:
    """Accepts messages, and reports what becomes of them."""

    def __init__(self, *, has_receipts: bool) -> None:
        self._has_receipts = has_receipts
        self._ids, self._random = itertools.count(), random.Random(1)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._events.put_nowait(
            ConnectionChanged(ConnectionState.CONNECTED, datetime.now(UTC), phone="5511888888888")
        )

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        await asyncio.sleep(self._random.uniform(*_ACCEPT_SECONDS))
        if self._has_receipts:
            self._report_later(message.phone, attempt.message_id)
        return Receipt(attempt.message_id)

    async def execute(self, operation: Operation[Any]) -> Any:
        if isinstance(operation, LookUpPhones):
            return dict.fromkeys(operation.phones)
        raise NotSupported

    async def check_health(self) -> None:
        pass

    async def events(self) -> AsyncIterator[ReportedEvent]:
        while event := await self._events.get():
            yield ReportedEvent(event, f"{id(self)}-{next(self._ids)}", _nothing_to_delete)

    def close(self) -> None:
        self._events.put_nowait(None)

    def _report_later(self, chat: str, message_id: str) -> None:
        loop, at = asyncio.get_running_loop(), datetime.now(UTC)
        delivered = MessageAcknowledged([message_id], chat, "delivered", at)
        read = MessageAcknowledged([message_id], chat, "read", at)
        loop.call_later(_DELIVERED_SECONDS, self._events.put_nowait, delivered)
        loop.call_later(_READ_SECONDS, self._events.put_nowait, read)
        if next(self._ids) % _ANSWERS_ONE_IN == 0:
            answer = MessageReceived(
                f"A{message_id}",
                chat,
                chat,
                "Ana",
                from_me=False,
                at=at,
                kind="text",
                content={"text": {"message": "Thank you!"}},
            )
            loop.call_later(_ANSWER_SECONDS, self._events.put_nowait, answer)


class SteadyEngine:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._has_receipts = environment.get("STEADY_RECEIPTS") == "true"

    async def run_until(self, stopping: asyncio.Event) -> None:
        await stopping.wait()

    @asynccontextmanager
    async def open_session(self, _spec: SessionSpec) -> AsyncIterator[SteadySession]:
        session = SteadySession(has_receipts=self._has_receipts)
        try:
            yield session
        finally:
            session.close()

    def ingress(self, _authorise: Authorise) -> Ingress:
        return Router()


class SteadyProvider(sandbox.SandboxProvider):
    def supports(self, command: type[Any]) -> bool:
        return sends.supports(command)

    def start(self, provider_context: ProviderContext) -> Any:
        return SteadyEngine(os.environ)


async def _nothing_to_delete() -> None:
    pass


if __name__ == "__main__":
    sandbox.provider = SteadyProvider()
    main()
