"""A session of the sandbox and its events, and what tests send to it and read of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.sql import SQL

from gateway.contract.zapi.messages.text import SendText
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.simulated_events import ReceiveBody
from gateway.providers.sandbox.simulated_states import Moment
from gateway.providers.sandbox.stored_events import event_body
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import Attempt, ReportedEvent, SessionSpec
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.sandbox_node import Node

FRIEND = "5511988887777"


def spec(instance_id: str = "one", *, epoch: int = 1, paired: bool = True) -> SessionSpec:
    return SessionSpec(instance_id, epoch, {"paired": True} if paired else {}, lambda: float("inf"))


@dataclass
class Listening:
    """A session and its events."""

    session: SandboxSession
    _events: AsyncIterator[ReportedEvent]

    async def delivery(self) -> ReportedEvent:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await anext(self._events)

    async def next(self) -> Any:
        delivery = await self.delivery()
        await delivery.acknowledge()
        return delivery.event


@asynccontextmanager
async def opened(node: Node, where: SessionSpec | None = None) -> AsyncIterator[Listening]:
    async with node.engine.open_session(where or spec()) as session:
        assert isinstance(session, SandboxSession)
        events = session.events()
        async with aclosing(events):  # type: ignore[type-var]
            yield Listening(session, events)


@asynccontextmanager
async def connected(node: Node, where: SessionSpec | None = None) -> AsyncIterator[Listening]:
    async with opened(node, where) as listening:
        assert (await listening.next()).state is ConnectionState.CONNECTED
        yield listening


def attempt(message_id: str = "M1", *, epoch: int = 1) -> Attempt:
    return Attempt(message_id, epoch, PATIENCE_SECONDS)


def text(message: str = "hi", **more: Any) -> SendText:
    return SendText(phone=FRIEND, message=message, **more)


async def sent(node: Node, instance_id: str = "one") -> list[dict[str, Any]]:
    return await node.people.sent(instance_id, after=0, max_count=1000)


async def stored_events(node: Node) -> int:
    (row,) = await node.database.fetch_dicts(
        SQL("select count(*) as kept from sandbox.events where instance_id = 'one'")
    )
    return int(row["kept"])


def received(message_id: str) -> Mapping[str, Any]:
    moment = Moment(datetime.now(UTC), message_id)
    return event_body(ReceiveBody.model_validate({"phone": FRIEND, "text": "hi"}).event(moment))
