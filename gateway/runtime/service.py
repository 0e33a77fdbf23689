"""The life of the process: listen, start, serve until told to stop, drain, end."""

import asyncio
import signal
from collections.abc import Awaitable

from gateway.errors import GatewayError
from gateway.observability.logging import logger
from gateway.runtime.supervisor import Supervisor
from gateway.runtime.wiring import Gateway


async def run_service(
    gateway: Gateway, *, drain_seconds: float, parent: Awaitable[None] | None = None
) -> None:
    """Runs until SIGINT or SIGTERM, or until *parent* returns.

    Raises:
        GatewayError: it could not start.
        ExceptionGroup: a part crashed.
        TimeoutError: it did not drain in time; what was under way is settled at the next start.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    orphaned = asyncio.ensure_future(parent) if parent else None
    if orphaned:
        orphaned.add_done_callback(lambda _task: stopping.set())
    try:
        await run_until(gateway, stopping, drain_seconds=drain_seconds)
    except BaseExceptionGroup as errors:
        # Not `except*`: until Python 3.11.4 it wraps what is raised in it into another group.
        _, crashes = errors.split(GatewayError)
        if crashes is None:
            raise _first(errors) from None
        raise
    finally:
        if orphaned:
            orphaned.cancel()
    logger.info("stopped")


async def run_until(gateway: Gateway, stopping: asyncio.Event, *, drain_seconds: float) -> None:
    """The same without signals."""
    async with asyncio.timeout(None) as deadline, asyncio.TaskGroup() as group:
        supervisor = Supervisor(group)
        starting = group.create_task(gateway.start(supervisor), name="start")
        await stopping.wait()
        logger.info("stopping")
        deadline.reschedule(asyncio.get_running_loop().time() + drain_seconds)
        starting.cancel()
        await asyncio.wait({starting})
        await supervisor.stop()


def _first(errors: BaseExceptionGroup[BaseException]) -> GatewayError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, GatewayError)
    return error
