"""`python -m gateway.providers.whatsmeow.child DESCRIPTOR DEADLINE PARENT` serves one engine.

The process obeys its deadline and its parent first, and imports the library after that on a thread:
on a busy machine the import takes longer than a lease, whose renewals must be read meanwhile.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from math import inf
from types import ModuleType
from typing import Protocol

from gateway.providers.whatsmeow.child.frames import Acknowledge, Command, Deadline, read_frame
from gateway.providers.whatsmeow.child.isolation import Isolation, open_descriptors
from gateway.providers.whatsmeow.child.link import Link
from gateway.providers.whatsmeow.child.suspension import Clients, Suspension
from gateway.providers.whatsmeow.child.watchdog import Watchdog

_PR_SET_PDEATHSIG = 1
# Every client occupies one thread of the default executor while it is open, and every call one
# while it runs. With no thread left, not even a stop could run.
_MAX_THREADS = 512


class Commands(Clients, Protocol):
    """The clients of this process, on which commands run."""

    async def run(self, command: Command) -> None:
        """Runs the command and replies to it."""
        ...


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


def load_library() -> ModuleType:
    """Imports the verbs, and the library with them."""
    try:
        verbs = import_module("gateway.providers.whatsmeow.child.verbs")
    except Exception:  # noqa: BLE001 - the engine reads the reason, and starts another process
        traceback.print_exc()
        os._exit(1)
    reap_children()
    # The import of the library sets logging to INFO; the engine reads warnings and errors only.
    logging.getLogger().setLevel(logging.WARNING)
    return verbs


async def serve(descriptor: int, watchdog: Watchdog) -> None:
    own = open_descriptors()  # without the library's
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_MAX_THREADS))
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=descriptor))
    link, renewed = Link(writer, loop), asyncio.Event()

    async def load() -> Commands:
        library = await asyncio.to_thread(load_library)
        verbs: Commands = library.Verbs(link)
        suspension = Suspension(verbs, link, Isolation(own), watchdog, renewed)
        suspension.arm(
            lambda: loop.call_soon_threadsafe(lambda: tasks.create_task(suspension.run()))
        )
        return verbs

    async def run(command: Command) -> None:
        await (await loading).run(command)

    async with asyncio.TaskGroup() as tasks:
        loading = tasks.create_task(load())
        while frame := await read_frame(reader):
            match frame:
                case Command():
                    tasks.create_task(run(frame))
                case Acknowledge(number):
                    link.acknowledged(number)
                case Deadline(monotonic_seconds):
                    watchdog.deadline = inf if monotonic_seconds is None else monotonic_seconds
                    renewed.set()
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
