"""Executes an operation on the session of an instance, on whichever node it is open."""

import asyncio
from typing import Any, cast

from gateway.clock import Clock
from gateway.contract.extensions.connections import RecoverConnection
from gateway.contract.operation import Operation, Value
from gateway.contract.zapi.instances import Restart
from gateway.errors import NotConnected, NotSupported, SessionUnavailable
from gateway.instances.store import Instance
from gateway.sessions.keeper import Keeper
from gateway.sessions.provider import Result
from gateway.sessions.relay import NotOpen, Relay

SESSION_WAIT_SECONDS = 8.0
"""How long an operation may wait until a node has the session open."""

# How often to ask the other nodes: a node that opens a session does not notify this one.
_RELAY_POLL_SECONDS = 1.0


class SessionRouter:
    """Executes operations on this node's own session, or relays them to the node that has it.

    As the last of the operation handlers it supports every operation: the session raises
    NotSupported.
    """

    def __init__(
        self, keeper: Keeper, relay: Relay, clock: Clock, *, timeout_seconds: float = 30.0
    ) -> None:
        self._keeper, self._relay, self._clock = keeper, relay, clock
        self._timeout_seconds = timeout_seconds

    async def execute(self, instance: Instance, operation: Operation[Result]) -> Result:
        """Returns the session's result.

        Raises:
            NotSupported: the provider of this instance cannot execute it.
            SessionUnavailable: no session is open, or it did not answer in time.
            CallerError: the session refuses the operation.
        """
        try:
            return await self._execute_on_any_node(instance, operation)
        except NotConnected:
            raise SessionUnavailable("You are not connected.") from None
        except NotSupported:
            refused = type(operation)
            reason = f". {refused.requirement.value}" if refused.requirement else ""
            raise NotSupported(
                f"{refused.__name__} is not supported by the {instance.provider} provider{reason}"
            ) from None

    async def _execute_on_any_node(
        self, instance: Instance, operation: Operation[Result]
    ) -> Result:
        """Waits for a session that no node has open, if the operation may wait."""
        wait_seconds = SESSION_WAIT_SECONDS if operation.awaits_session and instance.wanted else 0.0
        deadline = self._clock.monotonic_seconds() + wait_seconds
        while self._keeper.epoch(instance.id) is None:
            try:
                return await self._relay.execute(instance.id, operation)
            except NotOpen:
                left_seconds = deadline - self._clock.monotonic_seconds()
                if left_seconds <= 0:
                    raise
                await self._keeper.session_within(
                    instance.id, min(left_seconds, _RELAY_POLL_SECONDS)
                )
        return await self.execute_here(instance.id, operation)

    async def execute_here(self, instance_id: str, operation: Operation[Result]) -> Result:
        """Executes it on a session of this node; raises what the session raises, or NotOpen."""
        if isinstance(operation, Restart | RecoverConnection):
            await self._keeper.reopen(instance_id)
            return cast("Result", Value())
        wait_seconds = SESSION_WAIT_SECONDS if operation.awaits_session else 0.0
        session = await self._keeper.session_within(instance_id, wait_seconds)
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
