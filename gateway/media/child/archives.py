"""Finds which document a ZIP file is, from the names in its directory.

It reads the directory entry by entry, and at most 10,000 of them: `zipfile` would hold the names of
two million entries in memory. A file whose directory is in the 64-bit form is a ZIP and no more.
"""

import os
import struct
from collections.abc import Iterator
from typing import IO

from gateway.media.jobs import Job, JobResult
from gateway.media.sniffing import document_in_zip

_END = struct.Struct("<4s4xHHLLH")
_END_MAGIC = b"PK\x05\x06"
_MAX_TAIL_BYTES = 65_536 + _END.size
_ENTRY = struct.Struct("<4s24xHHH12x")
_ENTRY_MAGIC = b"PK\x01\x02"
_MAX_ENTRIES = 10_000


def read_archive(job: Job) -> JobResult:
    """Returns the text `mime_type`, if it follows from the names in the archive."""
    with job.source.open("rb") as file:
        found = document_in_zip(_names(file))
    return JobResult(texts={"mime_type": found} if found else {})


def _names(file: IO[bytes]) -> Iterator[bytes]:
    end_at, start = _directory(file)
    at = file.seek(start)
    for _ in range(_MAX_ENTRIES):
        if at >= end_at:
            return
        magic, name_length, extra_length, comment_length = _ENTRY.unpack(file.read(_ENTRY.size))
        if magic != _ENTRY_MAGIC:
            return
        yield file.read(name_length)
        at = file.seek(extra_length + comment_length, os.SEEK_CUR)


def _directory(file: IO[bytes]) -> tuple[int, int]:
    """Returns where the directory ends and where it starts."""
    size = file.seek(0, os.SEEK_END)
    tail_at = max(0, size - _MAX_TAIL_BYTES)
    file.seek(tail_at)
    tail = file.read(_MAX_TAIL_BYTES)
    at = tail.rfind(_END_MAGIC)
    if at < 0:
        raise ValueError("no end of a directory")
    _magic, _, _, directory_bytes, _offset, _ = _END.unpack_from(tail, at)
    end_at = tail_at + at
    return end_at, max(0, end_at - directory_bytes)
