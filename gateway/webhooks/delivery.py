"""Posts callbacks, oldest first in each chat, until they are taken or given up."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from urllib.parse import urlsplit

from gateway.bells import ringing
from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.instances.tokens import Sealed, TokenVault
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.random import Uniform
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.posting import Letter, NotTaken, Poster, Taken

_CLAIM_LINES = query("webhooks", "claim_lines")
_FINISH_LINES = query("webhooks", "finish_lines")
_RELEASE_CLAIMS = query("webhooks", "release_claims")
_NEXT_DUE = query("webhooks", "next_due")
_FORGET_EMPTY_LINES = query("webhooks", "forget_empty_lines")

_LONGEST_REST_SECONDS = 5.0
_CALLBACKS_PER_CLAIM = 20
_FORGET_EVERY_SECONDS = 60.0
_PAUSE_WHEN_ADDRESS_IS_BUSY_SECONDS = 0.5
_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One callback of a claimed chat."""

    instance_id: str
    chat: str
    attempts_before: int
    position: int
    id: uuid.UUID
    type: str
    body: str
    created_at: datetime
    url: str | None
    token_ciphertext: bytes
    token_key_id: str
    webhook_secret_ciphertext: bytes | None
    webhook_secret_key_id: str | None


@dataclass(frozen=True, slots=True)
class _Finished:
    """How far a claimed chat came, and when it goes on."""

    instance_id: str
    chat: str
    up_to: int
    attempts: int = 0
    pause_seconds: float = 0.0
    error: str | None = None
    dead: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class _Due:
    seconds: float | None


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How much is on its way at once, in all and to one address."""

    in_flight: int = 256
    per_address: int = 32
    claim_seconds: float = 60.0


class Delivery:
    """Part of the service; any number of processes may run one."""

    def __init__(
        self,
        database: Database,
        poster: Poster,
        vault: TokenVault,
        clock: Clock,
        *,
        node_id: str,
        schedule: RetrySchedule,
        limits: DeliveryLimits,
        metrics: Metrics,
        uniform: Uniform,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._database, self._poster, self._vault, self._clock = database, poster, vault, clock
        self._metrics = metrics
        self._node_id, self._released = node_id, False
        self._schedule, self._limits, self._uniform = schedule, limits, uniform
        self._new_uuid = new_uuid
        self._bell = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._per_address: Counter[str] = Counter()
        self._forget_at = 0.0

    def look_again(self) -> None:
        """Something may have been told."""
        self._bell.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as group, ringing(self._bell, when=stopping):
                while not stopping.is_set():
                    self._bell.clear()
                    try:
                        rest = await self._round(group)
                    except DatabaseUnavailable as error:
                        logger.warning("delivery_waits_for_database", error=str(error))
                        rest = _PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS
                    await self._clock.wait(self._bell, rest)
        finally:
            await self._poster.close()

    async def _round(self, group: asyncio.TaskGroup) -> float:
        """Sends off what is due; returns how long to rest, in seconds."""
        if not self._released:
            await self._database.execute(_RELEASE_CLAIMS, node_id=self._node_id)
            self._released = True
        now = self._clock.monotonic_seconds()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY_SECONDS
            await self._database.execute(_FORGET_EMPTY_LINES)
        room = self._limits.in_flight - len(self._under_way)
        if room <= 0:
            return _LONGEST_REST_SECONDS  # a finished one rings the bell
        claim_id = self._new_uuid()
        rows = await self._database.fetch_all(
            _Waiting,
            _CLAIM_LINES,
            most=room,
            per_line=_CALLBACKS_PER_CLAIM,
            claim_seconds=self._limits.claim_seconds,
            claim_id=claim_id,
            node_id=self._node_id,
        )
        lines = [list(g) for _, g in groupby(rows, key=lambda row: (row.instance_id, row.chat))]
        for line in lines:
            task = group.create_task(self._deliver(line, claim_id))
            self._under_way.add(task)
            task.add_done_callback(self._done)
        if len(lines) == room:
            return 0.0
        due = await self._database.fetch_one(_Due, _NEXT_DUE)
        if due is None or due.seconds is None:
            return _LONGEST_REST_SECONDS
        return min(_LONGEST_REST_SECONDS, max(0.0, due.seconds))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._bell.set()

    async def _deliver(self, line: Sequence[_Waiting], claim_id: uuid.UUID) -> None:
        """One claimed chat; nothing that goes wrong here touches another."""
        first = line[0]
        address = urlsplit(first.url or "").netloc
        if self._per_address[address] >= self._limits.per_address:
            finished = _Finished(
                first.instance_id,
                first.chat,
                up_to=first.position - 1,
                attempts=first.attempts_before,
                pause_seconds=_PAUSE_WHEN_ADDRESS_IS_BUSY_SECONDS,
            )
        else:
            self._per_address[address] += 1
            try:
                finished = await self._post_in_order(line)
            except Exception as error:  # noqa: BLE001 - the claim lapses, and it is tried again
                report_error(error, component="webhooks", instance_id=first.instance_id)
                return
            finally:
                self._per_address[address] -= 1
                if not self._per_address[address]:
                    del self._per_address[address]
        await self._finish(finished, claim_id)

    async def _post_in_order(self, line: Sequence[_Waiting]) -> _Finished:
        """Posts callback after callback until one is not taken or the time of the claim is up."""
        give_up_at = self._clock.monotonic_seconds() + self._limits.claim_seconds / 2
        up_to = line[0].position - 1
        attempts = line[0].attempts_before
        for waiting in line:
            if waiting.url is not None:  # else the address was removed meanwhile
                answer = await self._poster.post(self._letter(waiting, waiting.url))
                self._log(waiting, answer)
                if isinstance(answer, NotTaken):
                    return self._not_taken(waiting, answer, attempts + 1, up_to)
            up_to, attempts = waiting.position, 0
            if self._clock.monotonic_seconds() > give_up_at:
                break
        return _Finished(line[0].instance_id, line[0].chat, up_to)

    def _not_taken(
        self, waiting: _Waiting, answer: NotTaken, attempts: int, up_to: int
    ) -> _Finished:
        pause = self._schedule.pause_after(
            attempts, self._uniform, asked_seconds=answer.retry_after_seconds
        )
        if answer.gone or pause is None:
            return _Finished(
                waiting.instance_id,
                waiting.chat,
                waiting.position,
                error=answer.reason,
                dead=waiting.id,
            )
        return _Finished(
            waiting.instance_id, waiting.chat, up_to, attempts, pause, error=answer.reason
        )

    def _letter(self, waiting: _Waiting, url: str) -> Letter:
        secret = None
        if waiting.webhook_secret_ciphertext and waiting.webhook_secret_key_id:
            secret = self._vault.open(
                Sealed(waiting.webhook_secret_key_id, waiting.webhook_secret_ciphertext)
            )
        token = self._vault.open(Sealed(waiting.token_key_id, waiting.token_ciphertext))
        return Letter(waiting.id, url, waiting.body, token, secret)

    async def _finish(self, finished: _Finished, claim_id: uuid.UUID) -> None:
        while True:
            try:
                await self._database.execute(
                    _FINISH_LINES,
                    instance_ids=[finished.instance_id],
                    chats=[finished.chat],
                    claim_ids=[claim_id],
                    up_to=[finished.up_to],
                    attempts=[finished.attempts],
                    pauses=[finished.pause_seconds],
                    errors=[finished.error],
                    dead=[finished.dead],
                )
            except DatabaseUnavailable as error:
                logger.warning("delivery_waits_for_database", error=str(error))
                await self._clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)
            else:
                return

    def _log(self, waiting: _Waiting, answer: Taken | NotTaken) -> None:
        taken = isinstance(answer, Taken)
        self._metrics.posted(waiting.type, "taken" if taken else "not_taken")
        logger.log(
            10 if taken else 20,
            "callback_posted" if taken else "callback_not_taken",
            instance_id=waiting.instance_id,
            message_type=waiting.type,
            callback_id=str(waiting.id),
            target=urlsplit(waiting.url or "").hostname,
            reason=None if isinstance(answer, Taken) else answer.reason,
        )
