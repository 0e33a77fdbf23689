"""Runs parses: small ones at once, large ones in the parsing process.

A thread would not do: a parser holds the interpreter's lock until it is done.
"""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

from gateway.clock import Clock
from gateway.errors import GatewayError, Unavailable
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.parsing.process import LENGTH_BYTES, framed
from gateway.parsing.tasks import ParsingTask
from gateway.wakeups import waking

Result = TypeVar("Result")

_MAX_SECONDS = 5.0  # sixty thousand values take 0.3 s
_MAX_START_SECONDS = 60.0
_IDLE_SECONDS = 600.0
_MAX_OF_OWNER = 8
_MAX_WAITING = 64
# A library of the parsing process may need these; secrets and addresses are not for it.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONHOME", "SYSTEMROOT", "TMPDIR")


class RunsTasks(Protocol):
    """Runs a task for its owner, such as an account."""

    async def run(self, task: ParsingTask[Result], *, owner: str) -> Result:
        """Returns what the task returns, raises what it raises, or Unavailable."""
        ...


@dataclass(slots=True, eq=False)
class _Job:
    task: ParsingTask[Any]
    owner: str
    result: asyncio.Future[Any]


@dataclass(slots=True)
class _Turns:
    """The waiting jobs; owners take turns, so that one owner's many jobs delay it alone."""

    of_owner: OrderedDict[str, deque[_Job]] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return sum(map(len, self.of_owner.values()))

    def count_of(self, owner: str) -> int:
        return len(self.of_owner.get(owner, ()))

    def add(self, job: _Job) -> None:
        self.of_owner.setdefault(job.owner, deque()).append(job)

    def remove(self, job: _Job) -> None:
        jobs = self.of_owner.get(job.owner, deque())
        if job in jobs:  # deque.remove would put the job, with its large result, into its error
            jobs.remove(job)
        if not jobs:
            self.of_owner.pop(job.owner, None)

    def next(self) -> _Job | None:
        """Takes the first job of the owner whose turn it is; the owner goes to the end."""
        if not self.of_owner:
            return None
        owner, jobs = self.of_owner.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self.of_owner[owner] = jobs
        return job


class BodyParser:
    """Runs tasks within limits of time, memory and number.

    The parsing process starts with the first large task and ends after ten minutes without one. A
    task over its time ends the process; the next task starts another.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        *,
        max_seconds: float = _MAX_SECONDS,
        max_of_owner: int = _MAX_OF_OWNER,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        self._clock, self._metrics, self._max_seconds = clock, metrics, max_seconds
        self._max_of_owner, self._max_waiting = max_of_owner, max_waiting
        self._turns = _Turns()
        self._wakeup = asyncio.Event()
        self._process: Process | None = None
        self._is_running = False

    async def run(self, task: ParsingTask[Result], *, owner: str) -> Result:
        """Returns what the task returns, and raises what it raises.

        Args:
            task: what to parse.
            owner: the account or instance that it is for.

        Raises:
            Unavailable: this node parses too many large bodies already, or this one takes too long.
        """
        if task.is_small:
            return task.run()
        self._check_capacity(owner)
        job = _Job(task, owner, asyncio.get_running_loop().create_future())
        self._turns.add(job)
        self._wakeup.set()
        try:
            return cast("Result", await job.result)
        finally:
            self._turns.remove(job)  # the caller left

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Runs the waiting tasks, one at a time, until *stopping* is set."""
        self._is_running = True
        try:
            await self._serve(stopping)
        finally:
            self._is_running = False
            while job := self._turns.next():
                _refuse(job, "The node is stopping: repeat the request")
            await self._end_process()

    async def _serve(self, stopping: asyncio.Event) -> None:
        """This is no PeriodicLoop: it pauses only while no task waits."""
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                self._wakeup.clear()
                while not stopping.is_set() and (job := self._turns.next()):
                    await self._finish(job)
                if stopping.is_set():
                    return
                if not await self._clock.wait(self._wakeup, _IDLE_SECONDS):
                    await self._end_process()

    def _check_capacity(self, owner: str) -> None:
        is_full = len(self._turns) >= self._max_waiting
        if not self._is_running or is_full or self._turns.count_of(owner) >= self._max_of_owner:
            self._metrics.parsed_in_process("busy")
            raise Unavailable("Too many large bodies at once: send fewer, or repeat this one later")

    async def _finish(self, job: _Job) -> None:
        if job.result.done():  # the caller left
            return
        try:
            succeeded, result = await self._answer_to(job.task)
        except TimeoutError:
            outcome, text = "timeout", "The body takes too long to read: send it in parts"
        except (OSError, EOFError, pickle.UnpicklingError):
            outcome, text = "failed", "The body could not be read: repeat the request"
        except BaseException:
            _refuse(job, "The node is stopping: repeat the request")
            raise
        else:
            self._resolve(job, succeeded=succeeded, result=result)
            return
        self._metrics.parsed_in_process(outcome)
        logger.warning("body_parsing_failed", outcome=outcome, owner=job.owner)
        _refuse(job, text)
        await self._end_process()

    def _resolve(self, job: _Job, *, succeeded: bool, result: Any) -> None:  # noqa: ANN401 - as the task returns
        self._metrics.parsed_in_process("parsed" if succeeded else "refused")
        if job.result.done():
            return
        if succeeded:
            job.result.set_result(result)
        else:
            kind, text = result
            assert issubclass(kind, GatewayError)
            job.result.set_exception(kind.__new__(kind, text))

    async def _answer_to(self, task: ParsingTask[Any]) -> tuple[bool, Any]:
        process = self._process or await self._start_process()
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(self._max_seconds):
            process.stdin.write(framed(pickle.dumps(task, pickle.HIGHEST_PROTOCOL)))
            await process.stdin.drain()
            size = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
            # The parsing process is our own program, and wrote this pickle itself.
            return cast("tuple[bool, Any]", pickle.loads(await process.stdout.readexactly(size)))  # noqa: S301

    async def _start_process(self) -> Process:
        """Starts the parsing process and returns when it has loaded its modules."""
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.parsing.process"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=environment,
        )
        self._process = process
        assert process.stdout is not None
        async with asyncio.timeout(_MAX_START_SECONDS):
            await process.stdout.readexactly(LENGTH_BYTES)
        return process

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _refuse(job: _Job, text: str) -> None:
    if not job.result.done():
        job.result.set_exception(Unavailable(text))
