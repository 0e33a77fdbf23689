"""Runs the process: start, serve until a signal, drain, end."""

import asyncio
import signal
from collections.abc import Awaitable

from gateway.errors import GatewayError
from gateway.observability.logging import logger
from gateway.runtime.gc_tuning import hand_over_quickly
from gateway.runtime.supervisor import Supervisor
from gateway.runtime.wiring import Gateway


async def run_service(
    gateway: Gateway, *, drain_seconds: float, parent: Awaitable[None] | None = None
) -> None:
    """Runs until SIGINT or SIGTERM, or until *parent* returns.

    Raises:
        GatewayError: the gateway could not start.
        ExceptionGroup: a part crashed.
        TimeoutError: the parts did not drain in time; the next start processes what was in flight.
    """
    hand_over_quickly()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        await run_until(gateway, stopping, drain_seconds=drain_seconds, parent=parent)
    except BaseExceptionGroup as errors:
        # Not `except*`: until Python 3.11.4 it puts errors that are raised in it into a new group.
        _, crashes = errors.split(GatewayError)
        if crashes is None:
            raise _first(errors) from None
        raise
    logger.info("stopped")


async def run_until(
    gateway: Gateway,
    stopping: asyncio.Event,
    *,
    drain_seconds: float,
    parent: Awaitable[None] | None = None,
) -> None:
    """Does the same until *stopping* is set, without signals."""
    async with asyncio.timeout(None) as deadline, asyncio.TaskGroup() as group:
        supervisor = Supervisor(group)
        watching = group.create_task(_stop_after(parent, stopping), name="parent")
        starting = group.create_task(gateway.start(supervisor), name="start")
        await stopping.wait()
        watching.cancel()
        logger.info("stopping")
        deadline.reschedule(asyncio.get_running_loop().time() + drain_seconds)
        starting.cancel()
        await asyncio.wait({starting})
        await supervisor.stop()


async def _stop_after(parent: Awaitable[None] | None, stopping: asyncio.Event) -> None:
    if parent:
        await parent
        stopping.set()


def _first(errors: BaseExceptionGroup[BaseException]) -> GatewayError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, GatewayError)
    return error
