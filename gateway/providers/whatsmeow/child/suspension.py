"""Suspends this process before its lease lapses, and lets it act again after a renewal.

    acting --0.5 s before the deadline--> disconnecting --> suspended --renewed--> acting
                                               |                ^
                                               |                +-- isolated
                                               +-- not done at the deadline: the process ends

The clients that were connected are disconnected for good. The engine opens new ones afterwards, and
these read their state from the key store: no other node has written it, because a node whose lease
was taken meanwhile closes the session, and with it this process.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.providers.whatsmeow.child.frames import SuspensionPhase
from gateway.providers.whatsmeow.child.isolation import Isolation
from gateway.providers.whatsmeow.child.link import Link
from gateway.providers.whatsmeow.child.watchdog import Suspending, Watchdog

_POLITE_SECONDS = 0.2
# Each suspension leaves the library's closed connections to the key store behind, about two.
_MAX_SUSPENSIONS = 50


class Clients(Protocol):
    """The clients of this process."""

    def can_suspend(self) -> bool:
        """Whether every client has been connected, and none is being opened or closed."""
        ...

    def suspend(self) -> None:
        """Refuses every command until `resume`."""
        ...

    async def disconnect(self) -> None:
        """Disconnects every client: it sends nothing more, and does not connect again."""
        ...

    async def stop(self) -> None:
        """Stops every client for good; new ones have to be opened."""
        ...

    def resume(self) -> None:
        """Takes commands again."""
        ...


class Suspension:
    """Runs on the event loop; `hold` is called by the thread of the watchdog."""

    def __init__(
        self,
        clients: Clients,
        link: Link,
        isolation: Isolation,
        watchdog: Watchdog,
        renewed: asyncio.Event,
    ) -> None:
        """Suspends nothing before `arm`; *renewed* is set when the watchdog's deadline moved."""
        self._clients, self._link = clients, link
        self._isolation, self._watchdog = isolation, watchdog
        self._is_isolated = False
        self._renewed = renewed
        self._is_running, self._count = False, 0

    def arm(self, begin: Callable[[], object]) -> None:
        """Has the watchdog call *begin*, on its own thread, when it is time for `run`."""
        self._watchdog.suspending = Suspending(begin, self._hold)

    async def run(self) -> None:
        """Suspends the process; returns when it may act again.

        Where it cannot be suspended nothing changes: the watchdog ends it at the deadline.
        """
        if self._is_running or self._count >= _MAX_SUSPENSIONS or not self._clients.can_suspend():
            return
        self._is_running, self._count = True, self._count + 1
        await self._suspend()
        await self._until_renewed()
        await self._link.quiet()  # events that the library still has; a stop would drop them
        await self._clients.stop()
        await self._until_renewed()  # the database may have gone again
        self._resume()

    async def _suspend(self) -> None:
        self._clients.suspend()
        self._link.report_phase(SuspensionPhase("begun"))
        disconnecting = asyncio.create_task(self._clients.disconnect())
        await asyncio.wait({disconnecting}, timeout=_POLITE_SECONDS)
        self._isolation.begin()
        await disconnecting
        self._is_isolated = True
        self._link.report_phase(SuspensionPhase("complete"))

    def _resume(self) -> None:
        self._is_isolated = False  # first, so that the watchdog does not rely on it any more
        self._isolation.end()
        self._clients.resume()
        self._is_running = False
        self._link.report_phase(SuspensionPhase("over"))

    async def _until_renewed(self) -> None:
        while not self._watchdog.may_act():
            self._renewed.clear()
            await self._renewed.wait()

    def _hold(self) -> bool:
        if self._is_isolated:
            self._isolation.cut()
        return self._is_isolated
