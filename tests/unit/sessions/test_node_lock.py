"""The lock of a node: a proof for the life that wrote it, and for no other."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

from gateway.sessions.node_lock import NodeLock

FIRST, SECOND = uuid.uuid4(), uuid.uuid4()


def test_a_free_lock_proves_the_end_of_the_life_that_had_it(tmp_path: Path) -> None:
    first = NodeLock(tmp_path, "host:1/2")
    assert not first.proves_end_of(FIRST)  # nothing is written down
    first.claim(FIRST)
    second = NodeLock(tmp_path, "host:1/2")
    assert not second.proves_end_of(FIRST)
    first.close()
    assert not second.proves_end_of(SECOND)
    assert second.proves_end_of(FIRST)
    second.close()


def test_a_child_that_lives_holds_the_lock(tmp_path: Path) -> None:
    first = NodeLock(tmp_path, "one")
    first.claim(FIRST)
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


def test_a_life_that_could_not_take_the_lock_does_not_claim_it(tmp_path: Path) -> None:
    first, second = NodeLock(tmp_path, "one"), NodeLock(tmp_path, "one")
    first.claim(FIRST)
    second.claim(SECOND)
    first.close()
    second.close()
    third = NodeLock(tmp_path, "one")
    assert not third.proves_end_of(SECOND)
    assert third.proves_end_of(FIRST)
    third.close()


def test_each_node_has_a_lock_of_its_own(tmp_path: Path) -> None:
    first, other = NodeLock(tmp_path, "host:1/1"), NodeLock(tmp_path, "host:1/2")
    first.claim(FIRST)
    other.claim(SECOND)
    other.close()
    again = NodeLock(tmp_path, "host:1/2")
    assert again.proves_end_of(SECOND)
    first.close()
    again.close()


def test_where_the_folder_cannot_be_used_nothing_is_proven(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lock = NodeLock(tmp_path / "file" / "nodes", "one")
    lock.claim(FIRST)
    assert not lock.proves_end_of(FIRST)
    assert lock.inherited == ()
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - one name
