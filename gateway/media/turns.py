"""Shares a number of places between accounts, so that no account waits for all files of another."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from gateway.errors import Unavailable

_Place = asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class WaitingLimits:
    """How many callers may wait before one that asks for an answer now is refused."""

    per_account: int = 100
    total: int = 1_000


class Turns:
    """Gives places to accounts in turn.

    Each account has a list of its own, first come first served. A free place goes to the account
    that has waited longest since its last turn, among those that occupy less than their share.
    """

    def __init__(self, *, places: int, share: int, limits: WaitingLimits) -> None:
        """*share* is the number of places that one account may occupy."""
        self._free, self._share, self._limits = places, share, limits
        self._occupied = Counter[str]()
        self._waiting: OrderedDict[str, deque[_Place]] = OrderedDict()

    def counts(self) -> Mapping[str, int]:
        """Returns how many callers wait and how many have a place, for metrics."""
        return {"waiting": self._count_waiting(), "running": self._occupied.total()}

    @asynccontextmanager
    async def turn(self, account_id: str, *, patient: bool) -> AsyncIterator[None]:
        """Occupies a place while the block runs; a canceled caller leaves the list.

        Args:
            account_id: whose file it is.
            patient: wait however long the list is. A message does: it is one of at most one
                message per instance, and it cannot be answered "later" without losing an attempt.

        Raises:
            Unavailable: the list is too long for a caller who is not patient.
        """
        if not patient:
            self._check_length(account_id)
        place: _Place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account_id, deque()).append(place)
        self._give_places()
        try:
            await place
            yield
        finally:
            self._leave(account_id, place)

    def _check_length(self, account_id: str) -> None:
        own = len(self._waiting.get(account_id, ()))
        if own >= self._limits.per_account:
            raise Unavailable("Too many files of this account wait to be read: try again later")
        if self._count_waiting() >= self._limits.total:
            raise Unavailable("Too many files wait to be read: try again later")

    def _count_waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _leave(self, account_id: str, place: _Place) -> None:
        if place.done() and not place.cancelled():
            self._free += 1
            self._occupied[account_id] -= 1
            if not self._occupied[account_id]:
                del self._occupied[account_id]
            self._give_places()
        else:
            self._withdraw(account_id, place)

    def _withdraw(self, account_id: str, place: _Place) -> None:
        own = self._waiting.get(account_id, deque())
        with suppress(ValueError):  # _give_places has passed it over already
            own.remove(place)
        if not own:
            self._waiting.pop(account_id, None)

    def _give_places(self) -> None:
        while self._free and (account_id := self._next_account()):
            place = self._waiting[account_id].popleft()
            if self._waiting[account_id]:
                self._waiting.move_to_end(account_id)
            else:
                del self._waiting[account_id]
            if place.done():  # its caller was canceled and has not left yet
                continue
            self._free -= 1
            self._occupied[account_id] += 1
            place.set_result(None)

    def _next_account(self) -> str | None:
        return next((a for a in self._waiting if self._occupied[a] < self._share), None)
