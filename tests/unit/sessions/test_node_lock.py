"""The lock of a node proves the end of the process that recorded itself, and of no other."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

from gateway.sessions.node_lock import NodeLock

FIRST, SECOND = uuid.uuid4(), uuid.uuid4()


def test_node_lock_when_free_proves_the_end_of_its_owner(tmp_path: Path) -> None:
    first = NodeLock(tmp_path, "host:1/2")
    assert not first.proves_end_of(FIRST)  # the file names no process yet
    first.record_owner(FIRST)
    second = NodeLock(tmp_path, "host:1/2")
    assert not second.proves_end_of(FIRST)
    first.close()
    assert not second.proves_end_of(SECOND)
    assert second.proves_end_of(FIRST)
    second.close()


def test_node_lock_of_a_running_child_proves_nothing(tmp_path: Path) -> None:
    first = NodeLock(tmp_path, "one")
    first.record_owner(FIRST)
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=first.inherited
    )
    first.close()
    second = NodeLock(tmp_path, "one")
    assert not second.proves_end_of(FIRST)
    child.kill()
    child.communicate()
    assert second.proves_end_of(FIRST)
    second.close()


def test_node_lock_without_the_lock_records_no_owner(tmp_path: Path) -> None:
    first, second = NodeLock(tmp_path, "one"), NodeLock(tmp_path, "one")
    first.record_owner(FIRST)
    second.record_owner(SECOND)
    first.close()
    second.close()
    third = NodeLock(tmp_path, "one")
    assert not third.proves_end_of(SECOND)
    assert third.proves_end_of(FIRST)
    third.close()


def test_node_lock_of_another_node_is_separate(tmp_path: Path) -> None:
    first, other = NodeLock(tmp_path, "host:1/1"), NodeLock(tmp_path, "host:1/2")
    first.record_owner(FIRST)
    other.record_owner(SECOND)
    other.close()
    again = NodeLock(tmp_path, "host:1/2")
    assert again.proves_end_of(SECOND)
    first.close()
    again.close()


def test_node_lock_without_a_folder_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lock = NodeLock(tmp_path / "file" / "nodes", "one")
    lock.record_owner(FIRST)
    assert not lock.proves_end_of(FIRST)
    assert lock.inherited == ()
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - names are enough
