"""The parsing process: `python -m gateway.parsing.process`.

It reads tasks from its standard input and writes their results to its standard output, each as a
pickle after its length. It ends when its input ends, which is when the gateway ends.
"""

import os
import pickle
import signal
import sys
from contextlib import suppress
from typing import IO

from gateway.contract.catalogue import catalogue
from gateway.errors import GatewayError, Unavailable
from gateway.parsing.tasks import ParsingTask

if sys.platform != "win32":
    import resource

LENGTH_BYTES = 8
_MAX_MEMORY_BYTES = 1_073_741_824
_NICENESS = 5  # below the event loop; callers wait for it, so it is above the converting processes


def framed(content: bytes) -> bytes:
    """Returns *content* after its length."""
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it, too; the gateway drains
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not stand among the results
    catalogue()
    _limit_memory(_MAX_MEMORY_BYTES)
    _yield_to_event_loop()
    results.write(framed(b""))  # ready
    results.flush()
    serve(sys.stdin.buffer, results)


def serve(tasks: IO[bytes], results: IO[bytes]) -> None:
    """Runs the tasks until *tasks* ends."""
    while head := tasks.read(LENGTH_BYTES):
        # The tasks come from the gateway itself, over a pipe of its own.
        task = pickle.loads(tasks.read(int.from_bytes(head, "big")))  # noqa: S301
        results.write(framed(_run(task)))
        results.flush()


def _run(task: ParsingTask[object]) -> bytes:
    """Returns a pickle of the result, or of the error with its text."""
    try:
        return pickle.dumps((True, task.run()), pickle.HIGHEST_PROTOCOL)
    except GatewayError as error:
        return _error(type(error), str(error))
    except MemoryError:
        return _error(Unavailable, "The body needs too much memory: send it in parts")


def _error(kind: type[GatewayError], text: str) -> bytes:
    # An error's own constructor makes its text from values that are gone.
    return pickle.dumps((False, (kind, text)), pickle.HIGHEST_PROTOCOL)


def _limit_memory(max_bytes: int) -> None:
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))


def _yield_to_event_loop() -> None:
    if sys.platform != "win32":
        with suppress(OSError):
            os.nice(_NICENESS)


if __name__ == "__main__":
    main()
