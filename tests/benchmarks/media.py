"""What fifty images at once cost the gateway: `PYTHONPATH=. python tests/benchmarks/media.py`.

Fifty requests at once name a 5 MB image, by URL and then by base64, each for an instance line
without pauses. Printed are the growth of the process's memory as a multiple of one file, how late
its event loop ran what was due, and how many images arrived a second.
"""

import asyncio
import base64
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.fixtures import media
from tests.fixtures.postgres import public_folder, running_postgres
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway

AT_ONCE = 50
SIDE = 1_300  # 1300 x 1300 random pixels of 3 bytes do not compress: 5 MB
PHONE = "5511999999999"
PROBE_SECONDS = 0.005


def large_picture() -> bytes:
    """An incompressible PNG of about 5 MB."""
    from PIL import Image  # noqa: PLC0415 - the gateway's own process must not load it

    written = io.BytesIO()
    noise = Image.frombytes("RGB", (SIDE, SIDE), os.urandom(SIDE * SIDE * 3))
    noise.save(written, "PNG", compress_level=1)
    return written.getvalue()


class Memory:
    """The largest resident set of one process, its children not counted."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._watching = True
        self.before = self.peak = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._watching = False
        self._thread.join()

    def _watch(self) -> None:
        while self._watching:
            self.peak = max(self.peak, self._now())
            time.sleep(0.005)

    def _now(self) -> int:
        resident: int = self._process.memory_info().rss
        return resident


async def loop_delays(gateway: RunningGateway) -> dict[float, float]:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://127.0.0.1:{gateway.internal_port}/metrics")).text
    found = re.findall(r'event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\S+)', text)
    return {float(le): float(count) for le, count in found}


class IdleLoop:
    """A process that does nothing: how late its loop is says how busy the machine is."""

    PROGRAM = f"""
import asyncio, signal, time
async def main():
    late, stopping = [], asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    while not stopping.is_set():
        due = time.monotonic() + {PROBE_SECONDS}
        await asyncio.sleep({PROBE_SECONDS})
        late.append(time.monotonic() - due)
    print(sorted(late)[int(len(late) * 0.99)])
asyncio.run(main())
"""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM], stdout=subprocess.PIPE, text=True
        )

    def stop(self) -> float:
        self._process.terminate()
        return float(self._process.communicate()[0])


def quantile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """The upper bound of the bucket in which the quantile lies."""
    counts = {le: count - before.get(le, 0) for le, count in after.items()}
    return min(le for le, count in counts.items() if count >= share * counts[float("inf")])


@contextmanager
def measured_gateway() -> Iterator[RunningGateway]:
    with (
        public_folder() as folder,
        running_postgres(folder / "pg") as url,
        tempfile.TemporaryDirectory() as data_dir,
    ):
        own, sys.executable = sys.executable, str(_probed_interpreter(Path(data_dir)))
        with running_gateway(Path(data_dir), url, GATEWAY_SANDBOX_RECEIPTS="off") as gateway:
            sys.executable = own
            yield gateway


def _probed_interpreter(folder: Path) -> Path:
    """What is started in place of `python -m gateway`: the same, with a finer probe of the loop."""
    script = folder / "python"
    program = (
        f"from gateway.runtime import gauges; gauges._LOOP_PROBE_SECONDS = {PROBE_SECONDS}; "
        "from gateway import cli; cli.main()"
    )
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{program}' serve\n")
    script.chmod(0o755)
    return script


async def run(
    client: Client, gateway: RunningGateway, name: str, body: bytes, *, size: int, already: int
) -> None:
    assert gateway.process is not None
    memory, delays = Memory(gateway.process.pid), await loop_delays(gateway)
    idle = IdleLoop()
    began = time.perf_counter()

    async def send() -> float:
        asked = time.perf_counter()
        answer = await client.call(
            "POST", "/send-image", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return time.perf_counter() - asked

    answered = sorted(await asyncio.gather(*(send() for _ in range(AT_ONCE))))
    accepted = time.perf_counter() - began
    await client.sent_at_least(already + AT_ONCE, seconds=300)
    took = time.perf_counter() - began
    memory.stop()
    idle_late = idle.stop()
    late = quantile(delays, await loop_delays(gateway), 0.99)
    print(
        f"{name:7} {size / 1e6:.1f} MB x {AT_ONCE}: memory grew "
        f"{(memory.peak - memory.before) / size:.2f}x one file "
        f"({memory.before / 2**20:.0f} -> {memory.peak / 2**20:.0f} MiB), "
        f"loop delay p99 <= {late * 1000:g} ms (an idle process: {idle_late * 1000:.1f} ms), "
        f"accepted in {accepted:.2f} s "
        f"(slowest answer {answered[-1]:.2f} s), {AT_ONCE / took:.1f} images/s sent"
    )


async def main(gateway: RunningGateway) -> None:
    content = large_picture()
    await gateway.ready()
    async with media.file_server() as server, client_of(gateway) as client:
        client.http.timeout = httpx.Timeout(300)
        url = server.put("/image.png", media.file(content, "image/png"))
        warm = base64.b64encode(media.picture()).decode()
        await client.call("POST", "/send-image", json={"phone": PHONE, "image": warm})
        await client.sent_at_least(1)
        text = base64.b64encode(content).decode()
        for n, (name, image) in enumerate({"url": url, "base64": text}.items()):
            body = json.dumps({"phone": PHONE, "image": image}).encode()
            await run(client, gateway, name, body, size=len(content), already=1 + n * AT_ONCE)


if __name__ == "__main__":
    with measured_gateway() as measured:
        asyncio.run(main(measured))
