"""Begins a few requests in each turn of the event loop; those that came together take turns.

A thousand requests may arrive at once. To find the account of one costs half a millisecond, so all
of them in one turn would stop everything else for half a second.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

_PER_TURN, _PER_TURN_BESIDE_OTHERS = 32, 1
_INSTANCES = "/instances/"


class RequestStarts:
    """Begins a number of requests before the event loop serves what else is due.

    The number is small while several accounts share the node. One account alone loses nothing: its
    requests are written to Postgres in larger batches when they begin together.

    Requests that wait are begun name by name, so that many of one name delay only each other. The
    name is what the request claims: the instance in its path, otherwise the path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        is_shared: Callable[[], bool],
        per_turn: int = _PER_TURN,
        per_turn_beside_others: int = _PER_TURN_BESIDE_OTHERS,
    ) -> None:
        """Prepares the starts; *is_shared* says whether several accounts have work."""
        self._app, self._is_shared = app, is_shared
        self._limits = per_turn, per_turn_beside_others
        self._begun = 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._is_scheduled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._start(_name_of(scope["path"]))
        await self._app(scope, receive, send)

    async def _start(self, name: str) -> None:
        self._schedule()
        if self._begun < self._per_turn() and not self._waiting:
            self._begun += 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, deque()).append(mine)
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
            name, requests = self._waiting.popitem(last=False)
            request = requests.popleft()
            if requests:
                self._waiting[name] = requests
            if not request.done():  # else its client has left
                request.set_result(None)
                self._begun += 1
        if self._begun:
            self._schedule()


def _name_of(path: str) -> str:
    return path[len(_INSTANCES) :].partition("/")[0] if path.startswith(_INSTANCES) else path
