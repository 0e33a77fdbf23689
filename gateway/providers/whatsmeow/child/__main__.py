"""`python -m gateway.providers.whatsmeow.child DESCRIPTOR DEADLINE PARENT` serves one engine.

The process obeys its deadline and its parent first, and imports the library after that, because the
import takes seconds.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

from gateway.providers.whatsmeow.child.frames import Acknowledge, Command, Deadline, read_frame
from gateway.providers.whatsmeow.child.isolation import Isolation, open_descriptors
from gateway.providers.whatsmeow.child.link import Link
from gateway.providers.whatsmeow.child.watchdog import Watchdog

_PR_SET_PDEATHSIG = 1
# Every client occupies one thread of the default executor while it is open, and every call one
# while it runs. With no thread left, not even a stop could run.
_MAX_THREADS = 512


def end_with_parent(parent: int) -> None:
    """Has Linux end this process with its parent, even if the parent is killed with SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def reap_children() -> None:
    """Reaps the shells by which the library's imports looked for other libraries."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


async def serve(descriptor: int, watchdog: Watchdog) -> None:
    own = open_descriptors()  # without the library's
    # These import the library.
    from gateway.providers.whatsmeow.child.suspension import Suspension  # noqa: PLC0415
    from gateway.providers.whatsmeow.child.verbs import Verbs  # noqa: PLC0415

    reap_children()
    # The import of the library sets logging to INFO; the engine reads warnings and errors only.
    logging.getLogger().setLevel(logging.WARNING)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_MAX_THREADS))
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=descriptor))
    link = Link(writer, loop)
    verbs = Verbs(link)
    suspension = Suspension(verbs, link, Isolation(own), watchdog)
    async with asyncio.TaskGroup() as tasks:
        suspension.arm(
            lambda: loop.call_soon_threadsafe(lambda: tasks.create_task(suspension.run()))
        )
        while frame := await read_frame(reader):
            match frame:
                case Command():
                    tasks.create_task(verbs.run(frame))
                case Acknowledge(number):
                    link.acknowledged(number)
                case Deadline(monotonic_seconds):
                    suspension.renewed(monotonic_seconds)
                case _:
                    raise ValueError(f"the engine does not send {type(frame).__name__}")
        # The engine has closed: a command that still runs cannot reply, and the process ends.
        os._exit(0)


def main() -> None:
    end_with_parent(int(sys.argv[3]))
    watchdog = Watchdog(float(sys.argv[2]))
    try:
        asyncio.new_event_loop().run_until_complete(serve(int(sys.argv[1]), watchdog))
    finally:
        # A client that was never linked cannot be stopped. The executor's threads that wait for it
        # would prevent the interpreter from ending.
        os._exit(0)


main()
