"""`python -m gateway.providers.whatsmeow.child DESCRIPTOR DEADLINE PARENT` serves one engine.

The library is imported last, as that takes seconds: the process obeys its parent before.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from gateway.providers.whatsmeow.child.frames import Acknowledge, Ask, Deadline, read_frame
from gateway.providers.whatsmeow.child.link import Link

_PR_SET_PDEATHSIG = 1
_LEASE_LAPSED = 75
# Every client keeps one thread of the default executor for its whole life, and every call takes
# one while it runs: when none is left, even stopping hangs.
_MAX_THREADS = 512
_MAX_NAP_SECONDS = 0.5


class Watchdog:
    """Ends the process at the deadline, whatever the event loop or the library are busy with."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while (left := self.deadline - time.monotonic()) > 0:
            time.sleep(min(left, _MAX_NAP_SECONDS))
        os._exit(_LEASE_LAPSED)


def die_with_parent(parent: int) -> None:
    """Also where the parent is killed and hangs up nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def reap() -> None:
    """What the library's imports left: they look for libraries with a shell, and do not wait."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


async def serve(descriptor: int, watchdog: Watchdog) -> None:
    from gateway.providers.whatsmeow.child.verbs import Verbs  # noqa: PLC0415 - see above

    reap()
    # The library sets up logging on import, at INFO; the engine keeps what it needs.
    logging.getLogger().setLevel(logging.WARNING)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_MAX_THREADS))
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=descriptor))
    link = Link(writer, loop)
    verbs = Verbs(link)
    asks: set[asyncio.Task[None]] = set()
    while frame := await read_frame(reader):
        match frame:
            case Ask():
                task = asyncio.create_task(verbs.carry_out(frame))
                asks.add(task)
                task.add_done_callback(asks.discard)
            case Acknowledge(number):
                link.acknowledged(number)
            case Deadline(monotonic_seconds):
                watchdog.deadline = monotonic_seconds
            case _:
                raise ValueError(f"the engine does not say {type(frame).__name__}")


def main() -> None:
    die_with_parent(int(sys.argv[3]))
    watchdog = Watchdog(float(sys.argv[2]))
    try:
        asyncio.new_event_loop().run_until_complete(serve(int(sys.argv[1]), watchdog))
    finally:
        # A client that was never paired cannot be stopped, and threads of the executor that wait
        # for it would keep the interpreter from ending.
        os._exit(0)


main()
