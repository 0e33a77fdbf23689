"""A converting process as the gateway sees it: it gets jobs, and can be ended at any moment."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import gateway
from gateway.media.jobs import (
    Done,
    Job,
    JobLimits,
    JobProgress,
    JobResult,
    OnProgress,
    Refusal,
    packed_job,
    read_reply,
)
from gateway.media.spooling import BadFile
from gateway.media.yielding import yield_to_others

_MAX_REPLY_BYTES = 4 * 1024 * 1024
_MAX_JOBS = 500
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TEMP",
    "LD_LIBRARY_PATH",
    "SYSTEMROOT",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
)
_ROOT = os.sep
_PACKAGES = Path(gateway.__file__).parents[1]


class ChildEnded(Exception):
    """The process ended before it answered.

    `code` is its return code, and `done` the part of the job that it had reported, from 0 to 1.
    """

    def __init__(self, code: int, done: float) -> None:
        super().__init__(f"the converting process ended with {code}")
        self.code, self.done = code, done

    @property
    def by_limit_of_cpu(self) -> bool:
        return sys.platform != "win32" and self.code == -signal.SIGXCPU

    @property
    def by_file(self) -> bool:
        """Whether a decoder crashed; otherwise something else ended the process."""
        crashes = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP")
        return any(-self.code == getattr(signal, name, None) for name in crashes)


class ChildProcess:
    """One converting process; it does one job at a time."""

    def __init__(self, process: Process, *, yields: bool) -> None:
        self._process, self.yields = process, yields
        self._jobs = 0
        self._answered = True
        self._ending = False
        self.done = 0.0
        """The part of the current job that is done, from 0 to 1."""

    @classmethod
    async def start(cls, limits: JobLimits, *, yields: bool) -> "ChildProcess":
        """Starts a process that is confined before it reads a byte of a file.

        One that *yields* gets only the processor time that nothing else wants.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "gateway.media.child"),
            *map(str, (os.getpid(), limits.memory_bytes, limits.max_output_bytes)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # decoders print what a file makes them print
            env=_environment(os.environ),
            cwd=_ROOT,
            limit=_MAX_REPLY_BYTES,
            start_new_session=True,  # Ctrl-C goes to the gateway alone
        )
        if yields:
            yield_to_others(process.pid)
        return cls(process, yields=yields)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def reusable(self) -> bool:
        """Whether it may get another job: it answered the last one, and goes on."""
        lives = self._process.returncode is None and not self._ending
        return lives and self._answered and self._jobs < _MAX_JOBS

    async def run(self, job: Job, on_progress: OnProgress = lambda _done: None) -> JobResult:
        """Does one job, and reports how much of it is done.

        Raises:
            BadFile: the file is unusable.
            ChildEnded: the process ended before it answered.
            ValueError: the process answered what it should not; it must be ended.
        """
        assert self._process.stdin is not None
        self._jobs += 1
        self.done, self._answered = 0.0, False
        with suppress(ConnectionError):  # it has ended: so will its answers
            self._process.stdin.write(packed_job(job))
            await self._process.stdin.drain()
        return await self._result(on_progress)

    async def _result(self, on_progress: OnProgress) -> JobResult:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            match read_reply(line):
                case JobProgress(done):
                    self.done = done
                    on_progress(done)
                case Done(result, last):
                    self._answered, self._ending = True, last
                    return result
                case Refusal(reason, last):
                    self._answered, self._ending = True, last
                    raise BadFile(reason)
        raise ChildEnded(await self._process.wait(), self.done)

    async def end(self) -> None:
        """Kills the process; returns when it has ended and its pipes are closed, also if canceled.

        On a busy machine a process that yields takes long to end, and a task that is canceled
        twice left it behind.
        """
        ending = asyncio.create_task(self._end())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait({ending})
            raise

    async def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        self._process.stdin.close()
        await self._process.wait()
        with suppress(ValueError, ConnectionError):
            await self._process.stdout.read(-1)


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment without settings and secrets; the gateway's package is found again."""
    return {name: own[name] for name in _PASSED_ON if name in own} | {
        "PYTHONPATH": str(_PACKAGES),
        # Each arena of the allocator reserves 64 MiB of the address space, which is limited.
        "MALLOC_ARENA_MAX": "1",
    }
