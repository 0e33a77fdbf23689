"""Lets each account have a few requests in work at once, so that a flood delays only its sender."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Account:
    in_work: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class AccountTurns:
    """Counts what each account has in work; what exceeds the limit waits, first come, first served.

    Args:
        max_in_work: how many pieces of work of one account run at once; 0 sets no limit.
    """

    def __init__(self, max_in_work: int) -> None:
        self._max_in_work = max_in_work
        self._accounts: dict[str, _Account] = {}

    @asynccontextmanager
    async def turn(self, account_id: str) -> AsyncIterator[None]:
        """Waits for a turn of the account, which ends with the block."""
        if not self._max_in_work:
            yield
            return
        account = self._accounts.setdefault(account_id, _Account())
        if account.in_work >= self._max_in_work:
            await self._wait(account)
        else:
            account.in_work += 1
        try:
            yield
        finally:
            self._end(account_id, account)

    async def _wait(self, account: _Account) -> None:
        mine = asyncio.get_running_loop().create_future()
        account.waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                _pass_on(account)  # the turn came together with the cancellation
            raise

    def _end(self, account_id: str, account: _Account) -> None:
        _pass_on(account)
        if not account.in_work:
            self._accounts.pop(account_id, None)


def _pass_on(account: _Account) -> None:
    """Gives a turn that ends to who waits longest, or to none."""
    while account.waiting:
        waiter = account.waiting.popleft()
        if not waiter.done():
            waiter.set_result(None)
            return
    account.in_work -= 1
