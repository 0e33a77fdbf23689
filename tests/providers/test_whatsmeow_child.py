"""The child process: what it imports, and what it reports of the library's log.

Each test starts a process of its own, because the library may end it.
"""

import json
import subprocess
import sys

_SCRIPT = """
import ctypes, json, sys
from types import SimpleNamespace
from neonize.proto.Neonize_pb2 import LogEntry
from gateway.providers.whatsmeow.child.client import Client

told = []
client = Client("one", SimpleNamespace(report_soon=lambda *frame: told.append(frame)))
for level, message in json.loads(sys.argv[1]):
    entry = LogEntry(Name="Client", Level=level, Message=message).SerializeToString()
    buffer = ctypes.create_string_buffer(entry, len(entry))
    client._on_log(ctypes.addressof(buffer), len(entry))
print(json.dumps(told))
"""


def test_a_failed_reconnection_is_told_and_nothing_else() -> None:
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
