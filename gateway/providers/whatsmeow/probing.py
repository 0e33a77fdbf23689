"""Looks whether a client still answers, and waits for events of one that may end meanwhile."""

import asyncio
from collections.abc import Callable

from gateway.clock import Clock
from gateway.observability.logging import logger
from gateway.providers.whatsmeow.failures import NO_ANSWER, SERVER
from gateway.providers.whatsmeow.process import Child, Suspended
from gateway.sessions.reachability import NetworkFault
from gateway.wakeups import waking
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.linking_code import LinkingCode
from gateway.whatsapp_web.session import VerbFailed

_LINKING_SECONDS = 160.0  # six codes; after them the library shows no more and cannot be stopped
_FIRST_CODE_SECONDS = 20.0
_NO_CODE = f"{NetworkFault.SILENT.sentence(*SERVER)}."


async def probe(
    child: Child,
    instance_id: str,
    verb: str,
    *,
    timeout_seconds: float,
    may_fail: Callable[[], bool],
) -> None:
    """Has the client run a verb that changes nothing.

    Raises:
        ChildGone: the process ended.
        VerbFailed: the client did not answer in time, or the verb failed and *may_fail* says no.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            await child.call(instance_id, verb)
    except Suspended:
        return
    except VerbFailed:
        if not may_fail():
            raise
    except TimeoutError:
        logger.warning("session_dead", instance_id=instance_id, verb=verb)
        raise VerbFailed(NO_ANSWER, "the session no longer answered") from None


async def wait_for(
    event: asyncio.Event, child: Child, over: asyncio.Event, clock: Clock, seconds: float | None
) -> None:
    """Waits until one of the events is set, or the time has passed.

    Raises:
        ChildGone: the process ended, and *over* is not set.
    """
    wakeup = asyncio.Event()
    async with (
        waking(wakeup, when=event),
        waking(wakeup, when=child.gone),
        waking(wakeup, when=over),
    ):
        await clock.wait(wakeup, seconds)
    if child.gone.is_set() and not over.is_set():
        raise ChildGone(child.end_reason)


async def watch_linking(
    child: Child,
    code: LinkingCode,
    is_linked: Callable[[], bool],
    over: asyncio.Event,
    clock: Clock,
) -> None:
    """Returns when a phone is linked, or no further code will be shown, which *over* then says."""
    began = clock.monotonic_seconds()
    while not is_linked() and not over.is_set():
        passed = clock.monotonic_seconds() - began
        left = _LINKING_SECONDS - passed
        if passed > _FIRST_CODE_SECONDS and not code.is_shown:
            code.refuse(_NO_CODE)
        if left <= 0:
            over.set()
        elif child.gone.is_set():
            raise ChildGone(child.end_reason)
        else:
            await clock.wait(over, min(left, 0.5))
