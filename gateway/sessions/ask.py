"""Runs an operation on the live session of an instance."""

import asyncio
from typing import Any

from gateway.contract.operation import Operation
from gateway.errors import NotConnected, NotSupported, SessionUnavailable
from gateway.instances.store import Instance
from gateway.sessions.keeper import Keeper
from gateway.sessions.provider import Result


class Asker:
    """Asks the session that this node holds; the last to be asked, hence supports everything."""

    def __init__(self, keeper: Keeper, *, timeout_seconds: float = 30.0) -> None:
        self._keeper, self._timeout_seconds = keeper, timeout_seconds

    async def ask(self, instance: Instance, operation: Operation[Result]) -> Result:
        """The session's answer.

        Raises:
            NotSupported: the provider of this instance cannot do it.
            SessionUnavailable: no session is open, or it did not answer in time.
        """
        session = self._keeper.session(instance.id)
        if session is None:
            raise SessionUnavailable("The session of this instance is not open right now")
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await session.ask(operation)
        except TimeoutError:
            raise SessionUnavailable("The session did not answer in time") from None
        except NotConnected:
            raise SessionUnavailable("You are not connected.") from None
        except NotSupported:
            raise NotSupported(
                f"{type(operation).__name__} is not supported by the {instance.provider} provider"
            ) from None

    def supports(self, _operation: type[Operation[Any]]) -> bool:
        return True

    async def answer(self, instance: Instance, operation: Operation[Any]) -> object:
        return await self.ask(instance, operation)
