"""Lets each account have a few pieces of work at once, so that a flood delays only its sender.

An account that works alone has a large share or all of the node. Beside others it has a small one:
what it begins at once is what another account may find before it. An account with less work than
its share never waits.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

_RECENT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Share:
    """How many pieces of work of one account run at once; 0 sets no limit.

    Attributes:
        alone: while no other account has had work for a second.
        beside_others: while another one has.
    """

    alone: int
    beside_others: int


NO_LIMIT: Final = Share(0, 0)


@dataclass(slots=True)
class _Account:
    in_work: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class RecentAccounts:
    """The accounts that had work within a second."""

    def __init__(self, monotonic_seconds: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_seconds = monotonic_seconds
        self._noted_at: OrderedDict[str, float] = OrderedDict()

    def note(self, account_id: str) -> None:
        self._noted_at[account_id] = self._monotonic_seconds()
        self._noted_at.move_to_end(account_id)

    def names(self) -> Collection[str]:
        """Returns the ids of the accounts."""
        oldest = self._monotonic_seconds() - _RECENT_SECONDS
        while self._noted_at and next(iter(self._noted_at.values())) < oldest:
            self._noted_at.popitem(last=False)
        return self._noted_at.keys()


class AccountTurns:
    """Counts what each account has in work; what exceeds its share waits, first come, first served.

    A turn must not wait for another turn of the same object.
    """

    def __init__(
        self,
        share: Share = NO_LIMIT,
        monotonic_seconds: Callable[[], float] = time.monotonic,
        recent: RecentAccounts | None = None,
    ) -> None:
        """Prepares the turns; those of other kinds that share *recent* are company for these."""
        self._share, self._monotonic_seconds = share, monotonic_seconds
        self._accounts: dict[str, _Account] = {}
        self._recent = recent or RecentAccounts(monotonic_seconds)

    def of_other_kind(self, share: Share | None = None) -> "AccountTurns":
        """Returns turns for another kind of work, which is company for this one.

        They have *share*, or the same share as these.
        """
        return AccountTurns(share or self._share, self._monotonic_seconds, self._recent)

    def turn(self, account_id: str) -> AbstractAsyncContextManager[None]:
        """Waits for a turn of the account, which ends with the block."""
        return nullcontext() if self._share == NO_LIMIT else _Turn(self, account_id)

    async def begin(self, account_id: str) -> None:
        """Waits for a turn of the account, which lasts until `end`."""
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = _Account()
        self.note(account_id)
        if account.waiting or self._is_full(account_id, account):
            await self._wait(account_id, account)
        else:
            account.in_work += 1

    def end(self, account_id: str) -> None:
        self.note(account_id)
        self._end(account_id, self._accounts[account_id])

    async def _wait(self, account_id: str, account: _Account) -> None:
        mine = asyncio.get_running_loop().create_future()
        account.waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._end(account_id, account)  # the turn came together with the cancellation
            raise

    def _end(self, account_id: str, account: _Account) -> None:
        """Ends a turn, and begins those of who waits longest: others may have gone meanwhile."""
        account.in_work -= 1
        while account.waiting and not self._is_full(account_id, account):
            waiter = account.waiting.popleft()
            if not waiter.done():
                account.in_work += 1
                waiter.set_result(None)
        if not account.in_work and not account.waiting:
            self._accounts.pop(account_id, None)

    def _is_full(self, account_id: str, account: _Account) -> bool:
        share = self._share
        limit = share.beside_others if self.has_company(account_id) else share.alone
        return 0 < limit <= account.in_work

    def note(self, account_id: str) -> None:
        """Notes that the account has work, also work that takes no turn."""
        self._recent.note(account_id)

    def is_shared(self) -> bool:
        """Returns whether several accounts have work, or had some a moment ago."""
        return max(len(self._accounts), len(self._recent.names())) > 1

    def has_company(self, account_id: str) -> bool:
        """Returns whether another account has work, or had some a moment ago."""
        accounts, recent = self._accounts, self._recent.names()
        return len(accounts) > (account_id in accounts) or len(recent) > (account_id in recent)


class _Turn:
    """A turn that ends with a block."""

    # A class instead of a generator, because each send has two.
    __slots__ = ("_account_id", "_turns")

    def __init__(self, turns: AccountTurns, account_id: str) -> None:
        self._turns, self._account_id = turns, account_id

    async def __aenter__(self) -> None:
        await self._turns.begin(self._account_id)

    async def __aexit__(self, *_error: object) -> None:
        self._turns.end(self._account_id)
