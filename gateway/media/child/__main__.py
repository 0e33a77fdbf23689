"""`python -m gateway.media.child PARENT MEMORY_BYTES MAX_OUTPUT_BYTES` serves one gateway process.

It does jobs until its pipe ends.
"""

import os
import sys
import time
from typing import IO

from gateway.media.child.confinement import confine, limit_cpu, peak_memory_bytes
from gateway.media.jobs import (
    Done,
    Job,
    JobProgress,
    OnProgress,
    Refusal,
    Reply,
    packed_reply,
    read_job,
)
from gateway.media.spooling import BadFile

_MAX_IDLE_MEMORY_BYTES = 256 * 1024 * 1024
_MIB = 1024 * 1024
_PROGRESS_SECONDS = 0.25


def main() -> None:
    parent, memory_bytes, max_output_bytes = map(int, sys.argv[1:])
    jobs, replies = _pipes()
    confine(parent=parent, memory_bytes=memory_bytes, max_output_bytes=max_output_bytes)

    def send(reply: Reply) -> None:
        replies.write(packed_reply(reply))
        replies.flush()

    for line in jobs:
        job = read_job(line)
        limit_cpu(job.limits.cpu_seconds)
        reply = _reply_to(job, _seldom(lambda done: send(JobProgress(done))))
        send(reply)
        if reply.last:
            break
    os._exit(0)  # a thread of a decoder must not keep the process


def _seldom(report: OnProgress) -> OnProgress:
    """Returns a function that passes on one report in a while: decoders report each frame."""
    due = 0.0

    def report_seldom(done: float) -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + _PROGRESS_SECONDS
            report(done)

    return report_seldom


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Returns the two pipes, and keeps decoders from reading or writing them."""
    jobs, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    return jobs, replies


def _reply_to(job: Job, on_progress: OnProgress) -> Done | Refusal:
    from gateway.media.child.work import work  # noqa: PLC0415 - imported under the limits

    try:
        result = work(job, on_progress)
    except BadFile as error:
        return Refusal(str(error), last=_is_large())
    except MemoryError:
        limit = job.limits.memory_bytes // _MIB
        return Refusal(f"needs more than {limit} MiB of memory to be read", last=True)
    return Done(result, last=_is_large())


def _is_large() -> bool:
    """Whether this process should give its memory back by ending."""
    return peak_memory_bytes() > _MAX_IDLE_MEMORY_BYTES


main()
