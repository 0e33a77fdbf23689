"""A load generator in C, wrk, for servers that answer faster than Python asks."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

WRK: Final = shutil.which("wrk")
"""The program, if this machine has it."""

_SCRIPT = """
local paths = {%(paths)s}
local n = 0
wrk.method = "POST"
wrk.body = %(body)s
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Client-Token"] = "client-token"
request = function()
    n = n %% #paths + 1
    return wrk.format(nil, paths[n])
end
done = function(summary, latency, requests)
    io.write(string.format("SUMMARY %%d %%d %%d %%f\\n", summary.requests, summary.duration,
        summary.errors.status + summary.errors.connect + summary.errors.read
        + summary.errors.write + summary.errors.timeout, latency:percentile(99)))
end
"""


async def load_with_wrk(
    port: int, paths: Sequence[str], body: str, *, connections: int, seconds: float
) -> dict[str, float]:
    """Returns requests per second, p99 in milliseconds, and how many were refused or broke."""
    assert WRK
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.lua"
        quoted = ", ".join(f'"{path}"' for path in paths)
        script.write_text(_SCRIPT % {"paths": quoted, "body": f"[[{body}]]"})
        process = await asyncio.create_subprocess_exec(
            WRK,
            *("--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds:.0f}s", "--latency", "--script", str(script)),
            f"http://127.0.0.1:{port}",
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    found = re.search(rb"^SUMMARY (\d+) (\d+) (\d+) ([\d.]+)$", output, re.MULTILINE)
    assert found, output
    requests, microseconds, refused, p99 = map(float, found.groups())
    return {
        "rate": requests / microseconds * 1e6,
        "p99": p99 / 1_000,
        "refused": refused,
    }
