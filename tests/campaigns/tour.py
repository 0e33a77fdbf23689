"""What callers, receivers and operators do with a gateway, in scenes that each stand alone.

Together the scenes run every statement of a gateway; `tests/campaigns/statements.py` names those
that they cannot.
"""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from aiokafka import AIOKafkaProducer
from psycopg import AsyncConnection

from gateway.database.pool import Database
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, Demo, RunningGateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher

ANA: Final = "5511988888888"
BEN: Final = "5511777777777"
GONE: Final = 410
_UNAVAILABLE = {502, 503}
RETRY_SECONDS = 0.05


class InsistentClient(Client):
    """Repeats a request until it gets an answer other than 503, as a good caller does.

    A send is repeated with the same Idempotency-Key.
    """

    def __init__(self, demo: Demo, http: httpx.AsyncClient) -> None:
        super().__init__(demo, http)
        self.accepted: list[str] = []
        """The ids of the accepted messages, in order."""
        self.errors: list[str] = []
        """Answers that no caller can act on."""

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self.insist(method, self.instance + path, **options)

    async def control(self, action: str, **body: Any) -> dict[str, Any]:
        answer = await self.insist("POST", f"{self.sandbox}/{action}", json=body)
        assert answer.status_code == httpx.codes.OK, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def send_text(self, message: str, **fields: Any) -> dict[str, Any]:
        body = await self.post("/send-text", {"phone": ANA, "message": message, **fields})
        self.accepted.append(body["messageId"])
        return body

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Sends a message of any kind."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = await self.call("POST", path, json=body, headers=headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def insist(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    answer = await self.http.request(method, path, **options)
                except httpx.TransportError:  # the gateway starts again
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if answer.status_code not in _UNAVAILABLE:
                    break
                await asyncio.sleep(RETRY_SECONDS)
        if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            self.errors.append(f"{method} {path}: {answer.text[:200]}")
        return answer


@dataclass
class Tour:
    """A gateway, two lines of it, their receiver, and the texts that were sent so far."""

    gateway: RunningGateway
    line: InsistentClient
    neighbor: InsistentClient
    catcher: WebhookCatcher
    operator: AsyncConnection
    database: Database
    """Through the same bad connection as the gateway."""
    producer: AIOKafkaProducer | None = None
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def text(self, about: str = "text") -> str:
        return f"{about} {next(self.numbers)}"

    async def arrived(self, *message_ids: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Returns once the simulated WhatsApp has these messages."""
        await until(
            lambda: self.rows(
                "select message_id from sandbox.sent where message_id = any(%s)", [*message_ids]
            ),
            lambda found: len(found) == len(message_ids),
            seconds=seconds,
        )

    async def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        cursor = await self.operator.execute(statement.encode(), parameters)
        return await cursor.fetchall()

    async def partner(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Calls with the partner token of the account."""
        headers = {"Authorization": f"Bearer {self.line.demo.partner_token}"}
        return await self.line.insist(method, path, headers=headers, **options)

    async def send(self, about: str = "text", **fields: Any) -> str:
        """Sends a text and waits for its arrival."""
        sent = await self.line.send_text(self.text(about), **fields)
        await self.arrived(sent["messageId"])
        return str(sent["messageId"])


Scene = Callable[[Tour], Awaitable[object]]
