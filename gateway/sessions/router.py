"""Runs an operation on the live session of an instance, wherever it is."""

import asyncio
from typing import Any, cast

from gateway.contract.operation import Operation, Value
from gateway.contract.zapi.instances import Restart
from gateway.errors import NotConnected, NotSupported, SessionUnavailable
from gateway.instances.store import Instance
from gateway.sessions.keeper import Keeper
from gateway.sessions.provider import Result
from gateway.sessions.relay import NOT_OPEN, Relay


class SessionRouter:
    """Asks the session that this node holds, else the node that holds it.

    The last to be asked, hence supports everything.
    """

    def __init__(self, keeper: Keeper, relay: Relay, *, timeout_seconds: float = 30.0) -> None:
        self._keeper, self._relay, self._timeout_seconds = keeper, relay, timeout_seconds

    async def execute(self, instance: Instance, operation: Operation[Result]) -> Result:
        """The session's answer.

        Raises:
            NotSupported: the provider of this instance cannot do it.
            SessionUnavailable: no session is open, or it did not answer in time.
        """
        try:
            if self._keeper.epoch(instance.id) is None:
                return await self._relay.execute(instance.id, operation)
            return await self.execute_here(instance.id, operation)
        except NotConnected:
            raise SessionUnavailable("You are not connected.") from None
        except NotSupported:
            raise NotSupported(
                f"{type(operation).__name__} is not supported by the {instance.provider} provider"
            ) from None

    async def execute_here(self, instance_id: str, operation: Operation[Result]) -> Result:
        """The answer of a session that this node holds; raises what the session raises."""
        if isinstance(operation, Restart):
            await self._keeper.reopen(instance_id)
            return cast("Result", Value())
        session = self._keeper.session(instance_id)
        if session is None:
            raise SessionUnavailable(NOT_OPEN)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await session.execute(operation)
        except TimeoutError:
            raise SessionUnavailable("The session did not answer in time") from None

    def supports(self, _operation: type[Operation[Any]]) -> bool:
        return True

    async def answer(self, instance: Instance, operation: Operation[Any]) -> object:
        return await self.execute(instance, operation)
