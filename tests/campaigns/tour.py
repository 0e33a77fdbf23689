"""What callers, receivers and operators do with a gateway, in scenes that each stand alone.

Together the scenes run every statement of a gateway; `tests/campaigns/statements.py` names those
that they cannot.
"""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx
from aiokafka import AIOKafkaProducer
from psycopg import AsyncConnection

from gateway.database.pool import Database
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, Demo, RunningGateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher, bodies_of

if TYPE_CHECKING:
    from tests.campaigns.engine_scenes import Engines

ANA: Final = "5511988888888"
BEN: Final = "5511777777777"
GONE: Final = 410
_UNAVAILABLE = {502, 503}
RETRY_SECONDS = 0.05
Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Accepted:
    """A message that the gateway promised to send: to whom, what, and in which scene."""

    phone: str
    text: str
    scene: str

    def __str__(self) -> str:
        return f'"{self.text}" to {self.phone}, scene {self.scene}'


class InsistentClient(Client):
    """Repeats a request until it gets an answer other than 503, as a good caller does.

    A send is repeated with the same Idempotency-Key.
    """

    def __init__(self, demo: Demo, http: httpx.AsyncClient) -> None:
        super().__init__(demo, http)
        self.patience_seconds = PATIENCE_SECONDS
        self.scene = ""
        """What is played now."""
        self.accepted: dict[str, Accepted] = {}
        """The accepted messages by id, in order; without those that a scene itself deletes."""
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
        return await self.post_counted("/send-text", {"phone": ANA, "message": message, **fields})

    async def post_counted(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Sends a message of any kind that must arrive."""
        answer = await self.post(path, body, headers)
        text = body.get("message", path)
        self.accepted[answer["messageId"]] = Accepted(body["phone"], text, self.scene)
        return answer

    async def post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Sends a message of any kind."""
        headers = {"Idempotency-Key": uuid.uuid4().hex, **(headers or {})}
        answer = await self.call("POST", path, json=body, headers=headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def insist(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with asyncio.timeout(self.patience_seconds):
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
    engines: "Engines | None" = None
    patience_seconds: float = PATIENCE_SECONDS
    """How long a scene waits for what must come."""
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def text(self, about: str = "text") -> str:
        return f"{about} {next(self.numbers)}"

    def person(self) -> str:
        """Returns the phone of somebody whom no scene has met."""
        return f"5521{90_000_000 + next(self.numbers)}1"

    async def until(
        self,
        look: Callable[[], Awaitable[Seen]],
        enough: Callable[[Seen], bool],
        *,
        seconds: float | None = None,
    ) -> Seen:
        return await until(look, enough, seconds=seconds or self.patience_seconds)

    async def restart(self) -> None:
        """Stops the gateway, and returns once it is ready again."""
        await asyncio.to_thread(self.gateway.stop)
        await asyncio.to_thread(self.gateway.start)
        await self.gateway.ready()

    async def posted(self, kind: str, *message_ids: str) -> None:
        """Returns once the receiver has a callback of this kind for each message."""
        wanted, read = set(message_ids), 0

        def all_posted(catcher: WebhookCatcher) -> bool:
            nonlocal read  # each post is read once: a campaign posts tens of thousands
            for body in bodies_of(kind, catcher.posted[read:]):
                wanted.discard(body.get("messageId"))
            read = len(catcher.posted)
            return not wanted

        await self.catcher.wait_for(all_posted, self.patience_seconds)

    async def arrived(self, *message_ids: str, seconds: float | None = None) -> None:
        """Returns once the simulated WhatsApp has these messages."""
        await self.until(
            lambda: self.rows(
                "select message_id from sandbox.sent where message_id = any(%s)", [*message_ids]
            ),
            lambda found: len(found) == len(message_ids),
            seconds=seconds,
        )

    async def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        cursor = await self.operator.execute(statement.encode(), parameters)
        return await cursor.fetchall()

    async def partner(
        self, method: str, path: str, *, line: InsistentClient | None = None, **options: Any
    ) -> httpx.Response:
        """Calls with the partner token of the line's account."""
        line = line or self.line
        headers = {"Authorization": f"Bearer {line.demo.partner_token}"}
        return await line.insist(method, path, headers=headers, **options)

    async def send(self, about: str = "text", **fields: Any) -> str:
        """Sends a text and waits for its arrival."""
        sent = await self.line.send_text(self.text(about), **fields)
        await self.arrived(sent["messageId"])
        return str(sent["messageId"])


Scene = Callable[[Tour], Awaitable[object]]


async def traces_of(tour: Tour, message_id: str) -> str:
    """Returns what the database says of a message."""
    parts = list[str]()
    for name, statement in _TRACES.items():
        rows = await tour.rows(statement, message_id)
        parts.append(f"{name}: {rows or 'nothing'}")
    return ", ".join(parts)


_TRACES: Final[Mapping[str, str]] = {
    "queue": """select status, attempts, due_at::text, paused, connected, hold_until::text,
               message_queue.last_error
        from message_queue join instance_lines using (instance_id) where message_id = %s""",
    "history": """select status, attempts, error, recorded_at::text from messages
        where message_id = %s""",
    "attempts": "select outcome, error, ended_at::text from message_attempts where message_id = %s",
    "simulated WhatsApp": "select phone, seen from sandbox.sent where message_id = %s",
    "id": "select recorded_at::text from message_ids where message_id = %s",
}
