"""Runs the process: start, serve until a signal, drain, end."""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable

from gateway.errors import GatewayError
from gateway.observability.logging import logger
from gateway.runtime.gc_tuning import hand_over_quickly
from gateway.runtime.supervisor import Supervisor
from gateway.runtime.wiring import Gateway

_MAX_NAMES = 20
_ENDING_SECONDS = 5.0  # for the end of what was canceled at the deadline


async def run_service(
    gateway: Gateway, *, drain_seconds: float, parent: Awaitable[None] | None = None
) -> None:
    """Runs until SIGINT or SIGTERM, or until *parent* returns.

    Raises:
        GatewayError: the gateway could not start.
        ExceptionGroup: a part crashed.
        TimeoutError: the parts did not drain in time; the next start processes what was in flight.

    Where a part does not even end when it is canceled, the process ends without it.
    """
    hand_over_quickly()
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        end_process_after(drain_seconds + _ENDING_SECONDS, loop)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
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


def end_process_after(seconds: float, loop: asyncio.AbstractEventLoop) -> None:
    """Ends the process then if it still runs: a task or a thread did not obey.

    The next start processes what was in flight, as after a crash.
    """

    def end() -> None:
        tasks = sorted(task.get_name() for task in asyncio.all_tasks(loop) if not task.done())
        logger.error("stop_forced", after_seconds=seconds, tasks=tasks[:_MAX_NAMES])
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


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
