"""A process that was told to stop ends, although a task or a thread does not obey."""

import subprocess
import sys

import pytest

from tests.fixtures.patience import PATIENCE_SECONDS

_TASK = """
async def disobey():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def main():
    task = asyncio.create_task(disobey(), name="disobedient")
    end_process_after(0.01, asyncio.get_running_loop())
    await task
"""
_THREAD = """
async def main():
    end_process_after(0.01, asyncio.get_running_loop())
    threading.Event().wait()  # the loop does not run either
"""
_PROGRAM = """
import asyncio, threading
from gateway.runtime.service import end_process_after
{}
asyncio.run(main())
"""


@pytest.mark.parametrize("disobedient", [_TASK, _THREAD], ids=["task", "thread"])
def test_forced_stop_ends_the_process(disobedient: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(disobedient)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert ended.returncode == 1
    assert "stop_forced" in ended.stdout + ended.stderr
