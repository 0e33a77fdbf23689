"""What a child process does at its deadline: each test runs one of its parts in a process."""

import socket
import subprocess
import sys

import pytest

from tests.fixtures.patience import PATIENCE_SECONDS

_LEASE_LAPSED = 75

_ISOLATED = """
import socket, sys
from gateway.providers.whatsmeow.child.isolation import Isolation, open_descriptors

def attempt(action):
    try:
        action()
    except OSError:
        return "refused"
    return "done"

isolation = Isolation(open_descriptors())
address = ("127.0.0.1", int(sys.argv[1]))
before = socket.create_connection(address)
before.sendall(b"before;")
unconnected = socket.socket()
isolation.begin()
said = [attempt(lambda: before.sendall(b"LATE;"))]
said.append(attempt(lambda: socket.create_connection(address)))
said.append(attempt(lambda: open("/dev/null")))
unconnected.connect(address)
isolation.cut()
said.append(attempt(lambda: unconnected.sendall(b"LATE;")))
isolation.end()
after = socket.create_connection(address)
after.sendall(b"after;")
print(*said, sep=",")
"""


def test_isolated_process_reaches_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = subprocess.run(
            [sys.executable, "-c", _ISOLATED, str(server.getsockname()[1])],
            capture_output=True,
            check=True,
            timeout=PATIENCE_SECONDS,
        )
        got = b""
        for _ in range(3):
            connection, _address = server.accept()
            with connection:
                while chunk := _received(connection):
                    got += chunk
    assert ended.stdout.decode().split() == ["refused,refused,refused,refused"]
    assert got == b"before;after;"


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1024)
    except ConnectionResetError:
        return b""


_AT_THE_DEADLINE = """
import asyncio, sys, time
from types import SimpleNamespace
from gateway.providers.whatsmeow.child.isolation import Isolation, open_descriptors
from gateway.providers.whatsmeow.child.suspension import Suspension
from gateway.providers.whatsmeow.child.watchdog import Watchdog

class Clients:
    def can_suspend(self): return sys.argv[1] != "not linked"
    def suspend(self): pass
    async def stop(self): pass
    def resume(self): pass
    async def disconnect(self):
        match sys.argv[1]:
            case "library hangs": await asyncio.Event().wait()
            case "loop hangs": time.sleep(3600)
            case "library fails": raise RuntimeError

async def quiet(): pass
held, over, renewed = asyncio.Event(), asyncio.Event(), asyncio.Event()
def report_phase(frame):
    print(frame.phase, flush=True)
    if frame.phase == "over":
        over.set()

async def main():
    watchdog = Watchdog(time.monotonic() + 0.8)
    link = SimpleNamespace(report_phase=report_phase, quiet=quiet)
    suspension = Suspension(Clients(), link, Isolation(open_descriptors()), watchdog, renewed)
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        hold = suspension._hold
        suspension._hold = lambda: hold() and not loop.call_soon_threadsafe(held.set).cancelled()
        suspension.arm(
            lambda: loop.call_soon_threadsafe(lambda: tasks.create_task(suspension.run()))
        )
        await held.wait()
        watchdog.deadline = time.monotonic() + 60
        renewed.set()
        await over.wait()

asyncio.run(main())
"""


def _run_past_the_deadline(case: str) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [sys.executable, "-c", _AT_THE_DEADLINE, case],
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    return ended.returncode, ended.stdout.decode().split()


@pytest.mark.parametrize(
    ("case", "phases"),
    [("not linked", []), ("library hangs", ["begun"]), ("loop hangs", ["begun"])],
)
def test_process_that_cannot_be_suspended_ends_at_the_deadline(
    case: str, phases: list[str]
) -> None:
    assert _run_past_the_deadline(case) == (_LEASE_LAPSED, phases)


def test_suspended_process_outlives_the_deadline() -> None:
    assert _run_past_the_deadline("suspended") == (0, ["begun", "complete", "over"])


def test_process_ends_when_its_suspension_fails() -> None:
    code, phases = _run_past_the_deadline("library fails")
    assert code != 0
    assert phases == ["begun"]
