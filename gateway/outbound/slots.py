"""Bounds the requests in flight per account and per host, and lets accounts wait in turn.

Every account has its own queue. A slot that becomes free goes to the next account, round robin,
that has a request which may start: an account whose servers hang delays only its own requests.
In the queue of an account the hosts take turns too.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """How many requests may be in flight.

    Attributes:
        total: of this node.
        per_account: of one account.
        per_account_beside_others: the same while another account has work of any kind: what many
            requests begin and read at once is what another account may find before it.
        per_host: to one host, of all accounts; more than an account has, so that no account alone
            can occupy a host that others use too.
    """

    total: int = 512
    per_account: int = 64
    per_account_beside_others: int = 16
    per_host: int = 128


_Waiting = OrderedDict[str, deque[asyncio.Future[None]]]  # of one account, by host


class Slots:
    """Admits requests; one that must wait waits in a queue of its account and host."""

    def __init__(
        self, limits: SlotLimits, has_company: Callable[[str], bool] = lambda _account: False
    ) -> None:
        """*has_company* says whether another account than this one has work."""
        self._limits, self._has_company = limits, has_company
        self._in_flight = 0
        self._accounts, self._hosts = Counter[str](), Counter[str]()
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()

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
        admitted = asyncio.get_running_loop().create_future()
        hosts = self._waiting.setdefault(account, OrderedDict())
        hosts.setdefault(host, deque()).append(admitted)
        self._admit()
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.cancelled():
                self._remove(account, host, admitted)
            else:
                self._release(account, host)  # it was admitted at the same moment
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
        while without_start < len(self._waiting) and self._in_flight < self._limits.total:
            account = next(iter(self._waiting))
            self._waiting.move_to_end(account)
            without_start = 0 if self._admit_one(account) else without_start + 1

    def _admit_one(self, account: str) -> bool:
        """Starts the next request of an account whose host has a free slot; hosts take turns."""
        if self._accounts[account] >= self._share_of(account):
            return False
        hosts = self._waiting[account]
        host = next((name for name in hosts if self._hosts[name] < self._limits.per_host), None)
        if host is None:
            return False
        self._in_flight += 1
        self._accounts[account] += 1
        self._hosts[host] += 1
        hosts.move_to_end(host)
        admitted = hosts[host][0]
        self._remove(account, host, admitted)
        if admitted.cancelled():
            self._release(account, host)
        else:
            admitted.set_result(None)
        return True

    def _share_of(self, account: str) -> int:
        limits = self._limits
        if not self._has_company(account):
            return limits.per_account
        return min(limits.per_account, limits.per_account_beside_others)

    def _remove(self, account: str, host: str, waiting: asyncio.Future[None]) -> None:
        """Removes a waiting request, if it was not removed before."""
        hosts = self._waiting.get(account, OrderedDict())
        if waiting not in hosts.get(host, ()):
            return
        hosts[host].remove(waiting)
        if not hosts[host]:
            del hosts[host]
        if not hosts:
            del self._waiting[account]
