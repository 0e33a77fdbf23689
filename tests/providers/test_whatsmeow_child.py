"""What a child makes of the library's log; in a process of its own, as the library wants it."""

import json
import subprocess
import sys

_SCRIPT = """
import ctypes, json, sys
from types import SimpleNamespace
from neonize.proto.Neonize_pb2 import LogEntry
from gateway.whatsmeow_child.client import Client

told = []
client = Client("one", SimpleNamespace(tell_soon=lambda *frame: told.append(frame)))
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
