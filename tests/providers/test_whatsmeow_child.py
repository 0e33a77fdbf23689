"""The child process: what it imports, and what it reports of the library's log.

Each test starts a process of its own, because the library may end it.
"""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.providers.whatsmeow.child.frames import LibraryEvent, packed
from gateway.providers.whatsmeow.children import Children
from gateway.providers.whatsmeow.process import Child
from gateway.whatsapp_web.library_child import StartedProcess
from tests.fixtures.patience import PATIENCE_SECONDS

_SCRIPT = """
import ctypes, json, sys
from types import SimpleNamespace
from neonize.proto.Neonize_pb2 import LogEntry
from gateway.providers.whatsmeow.child.client import Client

told = []
link = SimpleNamespace(report_soon=lambda *frame: told.append(frame), report_and_wait=print)
client = Client("one", link)
for level, message in json.loads(sys.argv[1]):
    entry = LogEntry(Name="Client", Level=level, Message=message).SerializeToString()
    buffer = ctypes.create_string_buffer(entry, len(entry))
    client._on_log(ctypes.addressof(buffer), len(entry))
print(json.dumps(told))
"""


def test_failed_reconnection_in_the_log_is_reported() -> None:
    failed = "Error reconnecting: failed to dial whatsapp: no such host"
    log = [("ERROR", "Something else"), ("DEBUG", "failed to dial whatsapp"), ("ERROR", failed)]
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(log)], capture_output=True, check=True
    )
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told == [["one", "Unreachable", {"error": failed}]]


_IMPORTS = """
import pkgutil, sys
from importlib import import_module
import gateway.providers.whatsmeow.child as child

for module in pkgutil.iter_modules(child.__path__):
    if module.name != "__main__":  # which serves at once, and imports the others
        import_module(f"{child.__name__}.{module.name}")
print(*(name for name in sys.modules if name.partition(".")[0] == "gateway"))
"""


def test_child_imports_nothing_else_of_the_gateway() -> None:
    ended = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, check=True)
    own = "gateway.providers.whatsmeow.child"
    parents = {"gateway", "gateway.providers", "gateway.providers.whatsmeow", own}
    imported = set(ended.stdout.decode().split())
    assert f"{own}.verbs" in imported
    assert {name for name in imported if not name.startswith(f"{own}.")} == parents


async def test_children_end_drops_events_that_are_still_handled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = Children({}, tmp_path, instances_per_process=1, starts_at_once=1)
    engine_end, child_end = socket.socketpair()
    process = await asyncio.create_subprocess_exec(
        "/bin/cat", stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    reader, writer = await asyncio.open_unix_connection(sock=engine_end)

    async def start(*_given: object, **_named: object) -> Child:
        return Child(StartedProcess(process, reader, writer))

    monkeypatch.setattr(Child, "start", start)
    handling, canceled = asyncio.Event(), asyncio.Event()

    async def handle(_event: LibraryEvent) -> None:
        handling.set()
        try:
            await asyncio.Event().wait()  # as while the database is away
        finally:
            canceled.set()

    child = await children.place("one", handle, alone=True, own_proxy=False, deadline=0)
    child_end.send(packed(LibraryEvent(1, "one", "Message", {})))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await handling.wait()
        child_end.close()  # as when the process ends
        await children.leave(child, "one", linked=False)
        assert not canceled.is_set(), "the event may still be stored"
        await children.end()
    assert canceled.is_set()
    assert child.life.done()
