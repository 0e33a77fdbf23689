"""Bounds the deliveries in flight on this node, in all and of each account.

A delivery is in flight from the claim of its queue until its progress is stored. An account whose
progress waits for its turn must not fill the node with claimed queues.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

MAX_BESIDE_OTHERS: Final = 64


class DeliveriesInFlight:
    """Counts deliveries by account; while several accounts have work, each has a part of all."""

    def __init__(
        self, max_count: int, *, is_shared: Callable[[], bool], on_freed: Callable[[], None]
    ) -> None:
        """Prepares the counts.

        Args:
            max_count: the deliveries of this node.
            is_shared: says whether several accounts have work.
            on_freed: is called when a delivery ends that others may have waited for.
        """
        self._max_count, self._is_shared, self._on_freed = max_count, is_shared, on_freed
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._accounts = Counter[str]()

    def add(self, task: asyncio.Task[None], account_id: str) -> None:
        """Counts a delivery until its task ends."""
        self._tasks[task] = account_id
        self._accounts[account_id] += 1
        task.add_done_callback(self._end)

    def count_free(self) -> int:
        """Returns how many queues may be claimed now, whose accounts are not known yet."""
        free = self._max_count - len(self._tasks)
        return min(free, MAX_BESIDE_OTHERS) if self._is_shared() else free

    def full_accounts(self) -> list[str]:
        """Returns the accounts that may not have more deliveries now."""
        if not self._is_shared():
            return []
        return [name for name, count in self._accounts.items() if count >= MAX_BESIDE_OTHERS]

    def _end(self, task: asyncio.Task[None]) -> None:
        account_id = self._tasks[task]
        is_full = len(self._tasks) >= self._max_count
        if is_full or self._accounts[account_id] >= MAX_BESIDE_OTHERS:
            self._on_freed()
        del self._tasks[task]
        self._accounts[account_id] -= 1
        if not self._accounts[account_id]:
            del self._accounts[account_id]
