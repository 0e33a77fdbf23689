"""Converting processes are confined, and the end of one concerns its file only."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from gateway.contract.media import MediaFile
from gateway.errors import TryAgainLater
from gateway.media.child_process import ChildProcess
from gateway.media.converting import Converter
from gateway.media.jobs import Done, Job, JobLimits, JobResult, OnProgress, packed_reply, read_reply
from gateway.media.spooling import BadFile
from tests.fixtures import media
from tests.fixtures.conversions import new_converter
from tests.fixtures.hostile_files import gif, png
from tests.fixtures.patience import PATIENCE_SECONDS

_MIB = 1024 * 1024
LIMITS = JobLimits(memory_bytes=700 * _MIB)


@pytest.fixture
async def converter() -> AsyncIterator[Converter]:
    converter = new_converter(LIMITS, processes=2)
    yield converter
    await converter.close()


@pytest.fixture
def endless(tmp_path: Path) -> MediaFile:
    """Returns a GIF that takes minutes."""
    folder = tmp_path / "endless"
    folder.mkdir()
    path = folder / "original"
    path.write_bytes(gif(4_000, 2_000))
    return MediaFile(path, "image/gif", path.stat().st_size, "")


@pytest.fixture
def picture(tmp_path: Path) -> MediaFile:
    path = tmp_path / "picture"
    path.write_bytes(media.picture())
    return MediaFile(path, "image/png", path.stat().st_size, "")


def start(converter: Converter, file: MediaFile, account: str = "a") -> asyncio.Task[MediaFile]:
    return asyncio.create_task(
        converter.convert(file, "gif", file.path.parent, instance_id=account)
    )


async def running_pid(converter: Converter, *, other_than: int | None = None) -> int:
    """Waits until a process has read its job and works on it."""
    while True:
        for child in converter.conversions._busy:
            if child.done > 0 and child.pid != other_than:
                return child.pid
        await asyncio.sleep(0.01)


async def converts(converter: Converter, file: MediaFile, account: str = "b") -> bool:
    made = await converter.convert(file, "image", file.path.parent, instance_id=account)
    return made.width == 120


async def test_file_of_another_account_passes_those_that_take_long(
    converter: Converter, endless: MediaFile, picture: MediaFile
) -> None:
    hostile = [start(converter, endless) for _ in range(3)]
    await running_pid(converter)

    assert await converts(converter, picture)

    assert not any(task.done() for task in hostile)
    for task in hostile:
        task.cancel()
    await asyncio.wait(hostile)


async def test_withdrawn_job_ends_its_process(
    converter: Converter, endless: MediaFile, picture: MediaFile
) -> None:
    running, waiting = start(converter, endless), start(converter, endless)
    pid = await running_pid(converter)
    for task in (waiting, running):
        task.cancel()
        await asyncio.wait((task,))

    assert not psutil.pid_exists(pid)
    assert converter.conversions.turns.counts() == {"waiting": 0, "running": 0}
    assert await converts(converter, picture)


async def test_job_that_is_withdrawn_twice_waits_for_the_end_of_its_process(
    converter: Converter, endless: MediaFile
) -> None:
    task = start(converter, endless)
    pid = await running_pid(converter)
    os.kill(pid, signal.SIGSTOP)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)  # it ends its process now, and is canceled again meanwhile
    await asyncio.wait({task})

    assert not psutil.pid_exists(pid)


async def test_crash_refuses_its_file_and_no_other(
    converter: Converter, endless: MediaFile, picture: MediaFile
) -> None:
    task = start(converter, endless)
    os.kill(await running_pid(converter), signal.SIGSEGV)

    with pytest.raises(BadFile, match="makes the program that reads it crash"):
        await task
    assert await converts(converter, picture, account="a")


async def test_job_whose_process_was_killed_by_others_runs_again(
    converter: Converter, endless: MediaFile
) -> None:
    task = start(converter, endless)
    first = await running_pid(converter)
    os.kill(first, signal.SIGKILL)
    second = await running_pid(converter, other_than=first)
    assert not task.done()
    os.kill(second, signal.SIGKILL)

    with pytest.raises(BadFile, match="ended 2 times"):
        await task


async def test_idle_process_that_was_killed_is_replaced(
    converter: Converter, picture: MediaFile
) -> None:
    await converts(converter, picture)
    (pid,) = converter.conversions.pids()
    os.kill(pid, signal.SIGKILL)

    assert await converts(converter, picture)
    assert converter.conversions.pids() != [pid]


async def test_processor_time_is_limited(
    endless: MediaFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.media.job_pool._WALL_GRACE_SECONDS", PATIENCE_SECONDS)
    converter = new_converter(JobLimits(cpu_seconds=1))

    with pytest.raises(BadFile, match="takes more than 1 seconds of processor time, in which"):
        await start(converter, endless)
    await converter.close()


async def test_process_that_does_not_get_on_is_given_up_for_now(
    endless: MediaFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.media.job_pool._WALL_FACTOR", 0)
    monkeypatch.setattr("gateway.media.job_pool._WALL_GRACE_SECONDS", 0.1)
    converter = new_converter()

    with pytest.raises(TryAgainLater, match="the machine is too busy"):
        await start(converter, endless)
    assert not converter.conversions.pids()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has processes that yield")
async def test_process_that_gets_no_processor_time_begins_again_beside_the_others(
    converter: Converter, picture: MediaFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = list[int]()

    async def run(child: ChildProcess, job: Job, on_progress: OnProgress) -> JobResult:
        policies.append(os.sched_getscheduler(child.pid))
        if len(policies) == 1:
            await asyncio.Event().wait()
        return await really_run(child, job, on_progress)

    really_run = ChildProcess.run
    monkeypatch.setattr("gateway.media.yielding.CHECK_SECONDS", 0.05)
    monkeypatch.setattr("gateway.media.yielding.MIN_SHARE", 1_000.0)
    monkeypatch.setattr(ChildProcess, "run", run)

    assert await converts(converter, picture)
    assert await converts(converter, picture)
    assert policies == [os.SCHED_IDLE, os.SCHED_OTHER, os.SCHED_OTHER]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_process_is_confined_and_sees_no_secret(
    converter: Converter, picture: MediaFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_SECRET_KEY", "a secret")
    monkeypatch.setenv("DATABASE_URL", "a password")
    await converts(converter, picture)
    (pid,) = converter.conversions.pids()
    process = psutil.Process(pid)

    assert process.rlimit(psutil.RLIMIT_AS) == (LIMITS.memory_bytes, LIMITS.memory_bytes)
    assert process.rlimit(psutil.RLIMIT_FSIZE)[0] == LIMITS.max_output_bytes
    assert 0 < process.rlimit(psutil.RLIMIT_CPU)[0] < LIMITS.cpu_seconds + 10
    assert process.nice() > psutil.Process().nice()
    assert not {"GATEWAY_SECRET_KEY", "DATABASE_URL", "HOME"} & set(process.environ())
    assert process.net_connections() == []


async def test_memory_is_limited(picture: MediaFile, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(png(7_000))
    converter = new_converter(JobLimits(memory_bytes=300 * _MIB))
    large = MediaFile(path, "image/png", path.stat().st_size, "")

    with pytest.raises(BadFile, match="needs more than 300 MiB of memory"):
        await converter.convert(large, "sticker", tmp_path, instance_id="a")
    sent = await converter.convert(large, "image", tmp_path, instance_id="a")
    assert (sent.path, sent.width, sent.thumbnail) == (path, 7_000, None)  # phones show it anyway

    assert await converts(converter, picture)
    await converter.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems end it after its job")
def test_processes_end_with_a_gateway_that_is_killed(tmp_path: Path) -> None:
    program = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.media.child_process import ChildProcess
from gateway.media.jobs import Job, JobLimits

async def main():
    child = await ChildProcess.start(JobLimits(), yields=True)
    path = Path(sys.argv[1])
    job = Job("gif", path, "image/gif", 1, path.parent, JobLimits())
    running = asyncio.create_task(child.run(job))
    while not child.done:
        await asyncio.sleep(0.01)
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    path = tmp_path / "original"
    path.write_bytes(gif(4_000, 2_000))

    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )

    pid = int(ended.stdout)
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        pass


def test_gateway_process_imports_no_decoder() -> None:
    program = (
        "import sys, gateway.runtime.wiring; print({'PIL', 'av', 'selectolax'} & set(sys.modules))"
    )

    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "line",
    [b"", b"no json", b"[]", b"{}", b'{"Done": {}}', b'{"Other": {}}', b'{"JobProgress": []}'],
)
def test_answer_of_another_form_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"answer|JSON|Expecting|unpack"):
        read_reply(line)


@pytest.mark.parametrize("name", ["../voice.ogg", "/etc/passwd", "..", ""])
def test_made_file_outside_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not in the folder"):
        read_reply(packed_reply(Done(JobResult(made=name), last=False)))


def test_result_survives_the_pipe() -> None:
    result = JobResult("a", "b/c", 1, "d", 2, 3, 0.5, b"\0\xff", b"\x01", {"title": "\u00e9"})

    assert read_reply(packed_reply(Done(result, last=True))) == Done(result, last=True)
