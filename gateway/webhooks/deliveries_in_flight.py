"""Bounds the deliveries in flight on this node: in all, of each account, and of each source.

A delivery is in flight from the claim of its queue until its progress is stored. An account whose
progress waits for its turn must not fill the node with claimed queues.

A source is what callbacks of an instance are posted for: Z-API's webhooks, or a further one. Most
sources have one receiver, so a claim takes no more queues of one than a receiver gets requests at a
time. Otherwise all chats of an instance whose receiver hangs are claimed and postponed, each once,
before other instances have their turn.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.webhooks.circuit_breakers import CircuitBreakers
from gateway.webhooks.claimed_callback import QueueKey

MAX_BESIDE_OTHERS: Final = 64
_PAUSE_WHEN_RECEIVER_IS_DOWN_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class SkippedQueues:
    """The queues that no claim may take now.

    Attributes:
        blocked: those of these receivers.
        full_accounts: those of these accounts.
        full_sources: those of these sources.
    """

    blocked: list[str]
    full_accounts: list[str]
    full_sources: list[str]

    def __bool__(self) -> bool:
        return bool(self.blocked or self.full_accounts or self.full_sources)


class DeliveriesInFlight:
    """Counts deliveries; while several accounts have work, each has a part of all."""

    def __init__(
        self,
        max_count: int,
        *,
        max_per_source: int,
        is_shared: Callable[[], bool],
        on_freed: Callable[[], None],
    ) -> None:
        """Prepares the counts.

        Args:
            max_count: the deliveries of this node.
            max_per_source: a source with so many that are not posted yet is full.
            is_shared: says whether several accounts have work.
            on_freed: is called when a delivery ends that others may have waited for.
        """
        self._max_count, self._is_shared, self._on_freed = max_count, is_shared, on_freed
        self._max_per_source = max_per_source
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._accounts, self._sources = Counter[str](), Counter[str]()

    def add(self, task: asyncio.Task[None], account_id: str, queue: QueueKey) -> None:
        """Counts a delivery until its task ends; its source counts it until `posted`."""
        self._tasks[task] = account_id
        self._accounts[account_id] += 1
        self._sources[_source_of(queue)] += 1
        task.add_done_callback(self._end)

    def posted(self, queue: QueueKey, *, is_down: bool = False) -> None:
        """Notes that a delivery needs its receiver no longer.

        If its receiver is down, the source stays as full for a moment: its other chats would be
        claimed and postponed, too, all at once.
        """
        if is_down:
            loop = asyncio.get_running_loop()
            loop.call_later(_PAUSE_WHEN_RECEIVER_IS_DOWN_SECONDS, self.posted, queue)
            return
        source = _source_of(queue)
        if self._sources[source] >= self._max_per_source:
            self._on_freed()
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]

    def count_free(self) -> int:
        """Returns how many queues may be claimed now, whose accounts are not known yet."""
        free = self._max_count - len(self._tasks)
        return min(free, MAX_BESIDE_OTHERS) if self._is_shared() else free

    def full_accounts(self) -> list[str]:
        """Returns the accounts that may not have more deliveries now."""
        if not self._is_shared():
            return []
        return [name for name, count in self._accounts.items() if count >= MAX_BESIDE_OTHERS]

    def full_sources(self) -> list[str]:
        """Returns the sources that may not have more deliveries now."""
        return [name for name, count in self._sources.items() if count >= self._max_per_source]

    def skipped(self, breakers: CircuitBreakers) -> SkippedQueues:
        """Returns the queues that no claim may take now; *breakers* block receivers."""
        return SkippedQueues(
            breakers.blocked(),
            breakers.full_accounts() + self.full_accounts(),
            self.full_sources(),
        )

    def _end(self, task: asyncio.Task[None]) -> None:
        account_id = self._tasks[task]
        is_full = len(self._tasks) >= self._max_count
        if is_full or self._accounts[account_id] >= MAX_BESIDE_OTHERS:
            self._on_freed()
        del self._tasks[task]
        self._accounts[account_id] -= 1
        if not self._accounts[account_id]:
            del self._accounts[account_id]


def _source_of(queue: QueueKey) -> str:
    return f"{queue.webhook_id} {queue.instance_id}"
