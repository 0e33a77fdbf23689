"""Runs jobs in converting processes, and decides what the end of a process means."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from gateway.errors import TryAgainLater
from gateway.media.child_process import ChildEnded, ChildProcess
from gateway.media.jobs import Job, JobLimits, JobResult, OnProgress
from gateway.media.spooling import BadFile
from gateway.media.turns import Turns
from gateway.media.yielding import StarvationCheck
from gateway.observability.logging import logger

_RUNS = 2
_LOGGED_PARTS = 4
_BUSY_SECONDS = 60.0
_WALL_FACTOR, _WALL_GRACE_SECONDS = 6, 10  # it has little of a busy machine

CountJob = Callable[[str, str], None]
"""Counts a job that ended: its kind and its outcome."""


class _Starved(Exception):
    """A process that yields got too little of the processor."""


class JobPool:
    """A number of processes, which start with the first jobs.

    A process does one job at a time, so its end concerns one file only.
    """

    def __init__(
        self, turns: Turns, limits: JobLimits, *, count: CountJob = lambda _kind, _outcome: None
    ) -> None:
        self.turns, self.limits, self._count = turns, limits, count
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()
        self._busy_until = 0.0
        """Until when the machine counts as so busy that no process yields."""

    async def run(self, job: Job, *, account_id: str, patient: bool) -> JobResult:
        """Does a job when it is the account's turn; a canceled job ends its process.

        Raises:
            BadFile: the file is unusable, exceeds a limit, or makes its decoder crash.
            TryAgainLater: the machine is too slow at the moment.
            Unavailable: too many jobs wait, for a caller who is not patient.
        """
        outcome = "withdrawn"
        try:
            async with self.turns.turn(account_id, patient=patient):
                result = await self._run(job)
                outcome = "done"
                return result
        except BadFile:
            outcome = "refused"
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._count(job.kind, outcome)

    def pids(self) -> list[int]:
        """Returns the ids of the processes."""
        return [child.pid for child in (*self._idle, *self._busy)]

    async def close(self) -> None:
        """Ends all processes; nothing may run a job any more."""
        children = [*self._idle, *self._busy]
        self._idle.clear()
        for child in children:
            await child.end()

    async def _run(self, job: Job) -> JobResult:
        for _ in range(_RUNS):
            try:
                return await self._run_once(job)
            except ChildEnded as ended:
                logger.warning("conversion_process_ended", kind=job.kind, code=ended.code)
                if ended.by_limit_of_cpu:
                    raise _too_slow(job, ended.done) from None
                if ended.by_file:
                    raise BadFile("makes the program that reads it crash") from None
                # Something else ended the process, and it may not be the fault of the file.
        raise BadFile(f"could not be read: the process that read it ended {_RUNS} times")

    async def _run_once(self, job: Job) -> JobResult:
        if asyncio.get_running_loop().time() >= self._busy_until:
            with suppress(_Starved):
                return await self._run_in(job, yields=True)
            self._busy_until = asyncio.get_running_loop().time() + _BUSY_SECONDS
            logger.info("conversion_starved", kind=job.kind)
        return await self._run_in(job, yields=False)

    async def _run_in(self, job: Job, *, yields: bool) -> JobResult:
        seconds = _WALL_FACTOR * job.limits.cpu_seconds + _WALL_GRACE_SECONDS
        async with self._child(yields=yields) as child:
            check = StarvationCheck(child.pid if yields else None)
            try:
                async with asyncio.timeout(seconds) as limit:
                    with check.ending(limit):
                        return await child.run(job, _progress_logged(job))
            except TimeoutError:
                if check.is_starved:
                    raise _Starved from None
                # A file that needs too much time reaches the limit of processor time first.
                raise TryAgainLater(
                    f"the machine is too busy: after {seconds} seconds "
                    f"{child.done:.0%} of the file was converted"
                ) from None
            except ValueError as error:
                logger.warning("conversion_answer_unreadable", kind=job.kind, reason=str(error))
                raise BadFile("makes the program that reads it answer wrongly") from None

    @asynccontextmanager
    async def _child(self, *, yields: bool) -> AsyncIterator[ChildProcess]:
        """Lends a process; it is ended unless it answered."""
        child = await self._idle_child(yields=yields) or await ChildProcess.start(
            self.limits, yields=yields
        )
        self._busy.add(child)
        try:
            yield child
        finally:
            self._busy.discard(child)
            if child.reusable:
                self._idle.append(child)
            else:
                await child.end()

    async def _idle_child(self, *, yields: bool) -> ChildProcess | None:
        while self._idle:
            child = self._idle.pop()
            if child.reusable and child.yields is yields:
                return child
            await child.end()
        return None


def _progress_logged(job: Job) -> OnProgress:
    """Returns a function that logs each further quarter of a job that takes minutes."""
    logged = 0

    def report(done: float) -> None:
        nonlocal logged
        quarter = int(done * _LOGGED_PARTS)
        if job.kind == "transcode" and quarter > logged:
            logged = quarter
            logger.info("transcoding", percent=100 * quarter // _LOGGED_PARTS)

    return report


def _too_slow(job: Job, done: float) -> BadFile:
    part = f", in which {done:.0%} was done" if done else ""
    seconds = job.limits.cpu_seconds
    if job.kind == "transcode":
        return BadFile(
            f"needs to be converted, which takes more than {seconds} seconds of processor time"
            f"{part}; send MP4 with H.264 and AAC"
        )
    return BadFile(f"takes more than {seconds} seconds of processor time{part}")
