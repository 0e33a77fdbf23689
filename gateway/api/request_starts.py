"""Begins a few requests in each turn of the event loop; accounts take turns.

A thousand requests may arrive at once. To find the account of one costs half a millisecond, so all
of them in one turn would stop everything else for half a second.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

_PER_TURN, _PER_TURN_BESIDE_OTHERS = 32, 1
_INSTANCES = "/instances/"
_CHECKS = frozenset({"/health", "/ready"})
_OfAccount = OrderedDict[str, deque[asyncio.Future[None]]]  # by the name of an instance, or a path


class RequestStarts:
    """Begins a number of requests before the event loop serves what else is due.

    The number is small while several accounts share the node. One account alone loses nothing: its
    requests are written to Postgres in larger batches when they begin together.

    Requests that wait are begun account by account, so that those of one delay only each other,
    however many instances it has; and within an account instance by instance. Nothing is checked
    yet: the account is that of the instance in the path. Paths without an instance that this node
    knows, which anybody can make up, are one account for each address that they come from.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        is_shared: Callable[[], bool],
        account_of: Callable[[str], str | None],
        per_turn: int = _PER_TURN,
        per_turn_beside_others: int = _PER_TURN_BESIDE_OTHERS,
    ) -> None:
        """Prepares the starts.

        Args:
            app: what serves the requests.
            is_shared: says whether several accounts have work.
            account_of: returns the account of an instance, if that is known without a statement.
            per_turn: how many requests begin in one turn.
            per_turn_beside_others: the same while several accounts have work.
        """
        self._app, self._is_shared, self._account_of = app, is_shared, account_of
        self._limits = per_turn, per_turn_beside_others
        self._begun = 0
        self._waiting: OrderedDict[str, _OfAccount] = OrderedDict()
        self._is_scheduled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._start(scope)
        await self._app(scope, receive, send)

    async def _start(self, scope: Scope) -> None:
        self._schedule()
        if self._begun < self._per_turn() and not self._waiting:
            self._begun += 1
            return
        mine, name = asyncio.get_running_loop().create_future(), _name_of(scope["path"])
        account = self._account_of(name) or _stranger_of(scope)
        of_account = self._waiting.setdefault(account, OrderedDict())
        of_account.setdefault(name, deque()).append(mine)
        await mine

    def _per_turn(self) -> int:
        alone, beside_others = self._limits
        return beside_others if self._is_shared() else alone

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._begun, self._is_scheduled = 0, False
        per_turn = self._per_turn()
        while self._waiting and self._begun < per_turn:
            request = self._next()
            if not request.done():  # else its client has left
                request.set_result(None)
                self._begun += 1
        if self._begun:
            self._schedule()

    def _next(self) -> asyncio.Future[None]:
        """Removes the request that waits longest, of the account whose turn it is."""
        account, of_account = self._waiting.popitem(last=False)
        name, requests = of_account.popitem(last=False)
        request = requests.popleft()
        if requests:
            of_account[name] = requests
        if of_account:
            self._waiting[account] = of_account
        return request


def _name_of(path: str) -> str:
    return path[len(_INSTANCES) :].partition("/")[0] if path.startswith(_INSTANCES) else path


def _stranger_of(scope: Scope) -> str:
    """Returns who counts as the account; checks of the gateway itself take no turn."""
    path: str = scope["path"]
    client = scope.get("client")
    return path if path in _CHECKS else f"from {client[0] if client else ''}"
