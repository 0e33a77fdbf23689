"""Bounds the requests in flight per account and per host, and lets accounts wait in turn.

Every account has its own queue. A slot that becomes free goes to the next account, round robin,
that has a request which may start: a caller whose servers hang delays only the own requests.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """How many requests may be in flight.

    Attributes:
        total: of this node.
        per_account: of one account.
        per_host: to one host, of all accounts; more than an account has, so that no account alone
            can occupy a host that others use too.
    """

    total: int = 512
    per_account: int = 64
    per_host: int = 128


@dataclass(frozen=True, slots=True)
class _Waiter:
    host: str
    admitted: asyncio.Future[None]


class Slots:
    """Admits requests; one that must wait waits in the queue of its account."""

    def __init__(self, limits: SlotLimits) -> None:
        self._limits = limits
        self._in_flight = 0
        self._accounts, self._hosts = Counter[str](), Counter[str]()
        self._waiting: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, account: str, host: str) -> AsyncIterator[None]:
        """Waits for a slot and occupies it for the block."""
        await self._acquire(account, host)
        try:
            yield
        finally:
            self._release(account, host)

    @property
    def in_flight(self) -> int:
        return self._in_flight

    async def _acquire(self, account: str, host: str) -> None:
        if account not in self._waiting and self._is_free(account, host):
            self._occupy(account, host)
            return
        waiter = _Waiter(host, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(account, deque()).append(waiter)
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.done() and not waiter.admitted.cancelled():
                self._release(account, host)  # admitted and canceled at the same moment
            else:
                self._remove(account, waiter)
                self._admit()
            raise

    def _release(self, account: str, host: str) -> None:
        self._in_flight -= 1
        for counts, name in ((self._accounts, account), (self._hosts, host)):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]
        self._admit()

    def _admit(self) -> None:
        """Starts waiting requests, one per account in turn, as long as slots are free."""
        without_start = 0
        while self._waiting and without_start < len(self._waiting):
            if self._in_flight >= self._limits.total:
                return
            account = next(iter(self._waiting))
            self._waiting.move_to_end(account)
            without_start = 0 if self._admit_one(account) else without_start + 1

    def _admit_one(self, account: str) -> bool:
        blocked = set[str]()
        for waiter in self._waiting[account]:
            if waiter.host in blocked or waiter.admitted.done():
                continue
            if self._is_free(account, waiter.host):
                self._occupy(account, waiter.host)
                self._remove(account, waiter)
                waiter.admitted.set_result(None)
                return True
            blocked.add(waiter.host)
        return False

    def _remove(self, account: str, waiter: _Waiter) -> None:
        queue = self._waiting[account]
        queue.remove(waiter)
        if not queue:
            del self._waiting[account]

    def _is_free(self, account: str, host: str) -> bool:
        return (
            self._in_flight < self._limits.total
            and self._accounts[account] < self._limits.per_account
            and self._hosts[host] < self._limits.per_host
        )

    def _occupy(self, account: str, host: str) -> None:
        self._in_flight += 1
        self._accounts[account] += 1
        self._hosts[host] += 1
