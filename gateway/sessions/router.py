"""Runs an operation on the live session of an instance, wherever it is."""

import asyncio
from typing import Any, cast

from gateway.clock import Clock
from gateway.contract.operation import Operation, Value
from gateway.contract.zapi.instances import Restart
from gateway.errors import NotConnected, NotSupported, SessionUnavailable
from gateway.instances.store import Instance
from gateway.sessions.keeper import Keeper
from gateway.sessions.provider import Result
from gateway.sessions.relay import NotOpen, Relay

SESSION_WAIT_SECONDS = 8.0
"""How long an operation may wait for a session that no node has open yet."""

_LOOK_ELSEWHERE_SECONDS = 1.0  # another node that opens it sends no word to this one


class SessionRouter:
    """Asks the session that this node holds, else the node that holds it.

    The last to be asked, hence supports everything.
    """

    def __init__(
        self, keeper: Keeper, relay: Relay, clock: Clock, *, timeout_seconds: float = 30.0
    ) -> None:
        self._keeper, self._relay, self._clock = keeper, relay, clock
        self._timeout_seconds = timeout_seconds

    async def execute(self, instance: Instance, operation: Operation[Result]) -> Result:
        """The session's answer.

        Raises:
            NotSupported: the provider of this instance cannot do it.
            SessionUnavailable: no session is open, or it did not answer in time.
        """
        try:
            return await self._ask_any_node(instance, operation)
        except NotConnected:
            raise SessionUnavailable("You are not connected.") from None
        except NotSupported:
            raise NotSupported(
                f"{type(operation).__name__} is not supported by the {instance.provider} provider"
            ) from None

    async def _ask_any_node(self, instance: Instance, operation: Operation[Result]) -> Result:
        """Where no node has the session, an operation that may wait asks until one has."""
        patience = SESSION_WAIT_SECONDS if operation.awaits_session and instance.wanted else 0.0
        give_up_at = self._clock.monotonic_seconds() + patience
        while self._keeper.epoch(instance.id) is None:
            try:
                return await self._relay.execute(instance.id, operation)
            except NotOpen:
                left = give_up_at - self._clock.monotonic_seconds()
                if left <= 0:
                    raise
                await self._keeper.session_within(instance.id, min(left, _LOOK_ELSEWHERE_SECONDS))
        return await self.execute_here(instance.id, operation)

    async def execute_here(self, instance_id: str, operation: Operation[Result]) -> Result:
        """The answer of a session that this node holds; raises what the session raises."""
        if isinstance(operation, Restart):
            await self._keeper.reopen(instance_id)
            return cast("Result", Value())
        patience = SESSION_WAIT_SECONDS if operation.awaits_session else 0.0
        session = await self._keeper.session_within(instance_id, patience)
        if session is None:
            raise NotOpen
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await session.execute(operation)
        except TimeoutError:
            raise SessionUnavailable("The session did not answer in time") from None

    def supports(self, _operation: type[Operation[Any]]) -> bool:
        return True

    async def answer(self, instance: Instance, operation: Operation[Any]) -> object:
        return await self.execute(instance, operation)
