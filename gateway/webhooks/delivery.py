"""Posts callbacks, oldest first in each chat, until they are taken or given up."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from urllib.parse import urlsplit

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.instances.tokens import Sealed, TokenVault
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.wakeups import waking
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.circuit_breakers import CircuitBreakers
from gateway.webhooks.delivery_recorder import Attempt, DeliveryRecorder, Finished
from gateway.webhooks.posting import DeliveryResult, Poster, WebhookRequest, target_of
from gateway.webhooks.secrets import SealedSecrets

_CLAIM_LINES = query("webhooks", "claim_lines")
_RELEASE_CLAIMS = query("webhooks", "release_claims")
_NEXT_DUE = query("webhooks", "next_due")
_FORGET_EMPTY_LINES = query("webhooks", "forget_empty_lines")
_WAKE_ADDRESS = query("webhooks", "wake_address")

_MAX_REST_SECONDS = 5.0
_REST_WHILE_ADDRESSES_ARE_HELD_SECONDS = 0.25
_CALLBACKS_PER_CLAIM = 20
_FORGET_EVERY_SECONDS = 60.0
_PAUSE_WHEN_ADDRESS_IS_BUSY_SECONDS = 0.1
_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting(SealedSecrets):
    """One callback of a claimed chat."""

    instance_id: str
    chat: str
    attempts_before: int
    failing_seconds: float | None
    position: int
    id: uuid.UUID
    type: str
    body: str
    created_at: datetime
    account_id: str
    url: str | None
    token_ciphertext: bytes
    token_key_id: str

    @property
    def address(self) -> str:
        """What is slow or dead together: one server, as one account knows it."""
        return f"{self.account_id} {urlsplit(self.url or '').netloc}"


@dataclass(frozen=True, slots=True)
class _Due:
    seconds: float | None


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How many chats are posted from at once, and for how long one is claimed."""

    in_flight: int = 256
    claim_seconds: float = 60.0


class Delivery:
    """Part of the service; any number of processes may run one."""

    def __init__(
        self,
        database: Database,
        poster: Poster,
        recorder: DeliveryRecorder,
        addresses: CircuitBreakers,
        clock: Clock,
        *,
        vault: TokenVault,
        node_id: str,
        schedule: RetrySchedule,
        limits: DeliveryLimits,
        metrics: Metrics,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._database, self._poster, self._recorder = database, poster, recorder
        self._breakers, self._vault, self._clock = addresses, vault, clock
        self._metrics, self._schedule, self._limits = metrics, schedule, limits
        self._node_id, self._released = node_id, False
        self._new_uuid = new_uuid
        self._wakeup = asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._forget_at = 0.0

    def wake(self) -> None:
        """Something may have been told."""
        self._wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as group, waking(self._wakeup, when=stopping):
                while not stopping.is_set():
                    self._wakeup.clear()
                    try:
                        rest = await self._round(group)
                    except DatabaseUnavailable as error:
                        logger.warning("delivery_waits_for_database", error=str(error))
                        rest = _PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS
                    await self._clock.wait(self._wakeup, rest)
                self._stopping = True
        finally:
            await self._poster.close()

    async def _round(self, group: asyncio.TaskGroup) -> float:
        """Sends off what is due; returns how long to rest, in seconds."""
        await self._tidy()
        room = self._limits.in_flight - len(self._in_flight)
        if room <= 0:
            return _MAX_REST_SECONDS  # a finished one rings the bell
        held = self._breakers.held()
        self._metrics.held_addresses.set(self._breakers.count_held())
        claim_id = self._new_uuid()
        rows = await self._database.fetch_all(
            _Waiting,
            _CLAIM_LINES,
            max_count=room,
            per_line=_CALLBACKS_PER_CLAIM,
            claim_seconds=self._limits.claim_seconds,
            claim_id=claim_id,
            node_id=self._node_id,
            held=held,
        )
        lines = [list(line) for _, line in groupby(rows, key=lambda r: (r.instance_id, r.chat))]
        for line in lines:
            task = group.create_task(self._deliver(line, claim_id))
            self._in_flight.add(task)
            task.add_done_callback(self._done)
        if len(lines) == room:
            return 0.0
        due = await self._database.fetch_one(_Due, _NEXT_DUE, held=held)
        longest = _REST_WHILE_ADDRESSES_ARE_HELD_SECONDS if held else _MAX_REST_SECONDS
        if due is None or due.seconds is None:
            return longest
        return min(longest, max(0.0, due.seconds))

    async def _tidy(self) -> None:
        if not self._released:
            await self._database.execute(_RELEASE_CLAIMS, node_id=self._node_id)
            self._released = True
        now = self._clock.monotonic_seconds()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY_SECONDS
            await self._database.execute(_FORGET_EMPTY_LINES)

    def _done(self, task: asyncio.Task[None]) -> None:
        if len(self._in_flight) >= self._limits.in_flight:
            self._wakeup.set()
        self._in_flight.discard(task)

    async def _deliver(self, line: Sequence[_Waiting], claim_id: uuid.UUID) -> None:
        """One claimed chat; nothing that goes wrong here touches another."""
        try:
            finished = await self._visit(line, claim_id)
        except Exception as error:  # noqa: BLE001 - the claim lapses, and it is tried again
            report_error(error, component="webhooks", instance_id=line[0].instance_id)
            return
        if await self._recorder.finish(finished):
            self._wakeup.set()

    async def _visit(self, line: Sequence[_Waiting], claim_id: uuid.UUID) -> Finished:
        address = line[0].address
        if not self._breakers.enter(address):
            return self._turned_away(line[0], claim_id)
        try:
            return await self._post_in_order(line, claim_id)
        finally:
            if self._breakers.leave(address):
                self._wakeup.set()

    def _turned_away(self, head: _Waiting, claim_id: uuid.UUID) -> Finished:
        """The address is busy, or held; after a long outage what waits for it is given up."""
        held = self._breakers.seconds_held(head.address)
        down = self._breakers.is_down(head.address)
        give_up = down and self._schedule.is_over(head.failing_seconds or 0.0)
        return Finished(
            head.instance_id,
            head.chat,
            claim_id,
            up_to=head.position if give_up else head.position - 1,
            attempts=head.attempts_before,
            pause_seconds=0.0 if give_up else held or _PAUSE_WHEN_ADDRESS_IS_BUSY_SECONDS,
            error="the receiver does not answer" if down else None,
            dead=head.id if give_up else None,
            address=None if give_up else head.address,
        )

    async def _post_in_order(self, line: Sequence[_Waiting], claim_id: uuid.UUID) -> Finished:
        """Posts callback after callback until one is not taken or the time of the claim is up."""
        head, log = line[0], list[Attempt]()
        give_up_at = self._clock.monotonic_seconds() + self._limits.claim_seconds / 2
        up_to, attempts = head.position - 1, head.attempts_before
        for waiting in line:
            if waiting.url is not None:  # else the address was removed meanwhile
                if waiting.address != head.address:
                    break  # the next claim enters there
                posted = await self._post(waiting, waiting.url, attempts + 1, log)
                if not posted.delivered:
                    return self._failed(
                        waiting,
                        posted,
                        claim_id,
                        attempts + 1,
                        progressed=waiting is not head,
                        log=log,
                    )
            up_to, attempts = waiting.position, 0
            if self._stopping or self._clock.monotonic_seconds() > give_up_at:
                break
        return Finished(
            head.instance_id, head.chat, claim_id, up_to, progressed=True, log=tuple(log)
        )

    async def _post(
        self, waiting: _Waiting, url: str, attempt: int, log: list[Attempt]
    ) -> DeliveryResult:
        posted = await self._poster.post(self._request_of(waiting, url))
        log.append(
            Attempt(
                waiting.instance_id,
                waiting.chat,
                waiting.id,
                waiting.type,
                target_of(url),
                attempt,
                posted.seconds,
                posted.status,
                posted.error,
                posted.answer,
            )
        )
        self._count(waiting, posted)
        await self._note(waiting.address, posted)
        return posted

    async def _note(self, address: str, posted: DeliveryResult) -> None:
        if posted.retry_after_seconds is not None and posted.retry_after_seconds > 0:
            self._breakers.asked_to_wait(
                address, min(posted.retry_after_seconds, self._schedule.longest_asked_seconds)
            )
        elif posted.status is None:
            self._breakers.silent(address)
        elif self._breakers.answered(address, posted.seconds):
            logger.info("receiver_answers_again", target=address.rpartition(" ")[2])
            try:
                await self._database.execute(_WAKE_ADDRESS, address=address)
            except DatabaseUnavailable:
                return  # each chat goes on when its own pause is over
            self._wakeup.set()

    def _failed(
        self,
        waiting: _Waiting,
        posted: DeliveryResult,
        claim_id: uuid.UUID,
        attempts: int,
        *,
        progressed: bool,
        log: list[Attempt],
    ) -> Finished:
        pause = self._schedule.pause_after(attempts, asked_seconds=posted.retry_after_seconds)
        outage = 0.0 if progressed else waiting.failing_seconds or 0.0
        dead = posted.gone or pause is None or self._schedule.is_over(outage)
        return Finished(
            waiting.instance_id,
            waiting.chat,
            claim_id,
            waiting.position if dead else waiting.position - 1,
            progressed=progressed,
            attempts=attempts,
            pause_seconds=0.0 if dead else pause or 0.0,
            error=posted.error,
            dead=waiting.id if dead else None,
            address=waiting.address
            if posted.status is None or self._breakers.is_down(waiting.address)
            else None,
            log=tuple(log),
        )

    def _request_of(self, waiting: _Waiting, url: str) -> WebhookRequest:
        token = self._vault.open(Sealed(waiting.token_key_id, waiting.token_ciphertext))
        return WebhookRequest(waiting.id, url, waiting.body, token, waiting.open(self._vault))

    def _count(self, waiting: _Waiting, posted: DeliveryResult) -> None:
        self._metrics.posted(waiting.type, "taken" if posted.delivered else "not_taken")
        if posted.delivered:
            late = (self._clock.now() - waiting.created_at).total_seconds()
            self._metrics.callback_latency.observe(max(0.0, late))
        logger.log(
            10 if posted.delivered else 20,
            "callback_posted" if posted.delivered else "callback_not_taken",
            instance_id=waiting.instance_id,
            message_type=waiting.type,
            callback_id=str(waiting.id),
            target=urlsplit(waiting.url or "").hostname,
            reason=posted.error,
        )
