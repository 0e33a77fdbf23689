"""Files of chats are private to the user of the gateway, and a full disk is named."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.errors import Unavailable
from gateway.media.objects import open_folder
from gateway.media.spooling import Spool, SpoolFile
from gateway.media.storing import MediaStore
from tests.fixtures.conversions import new_converter

SENTENCE = "The disk of the data directory is full"
# In a user namespace an ordinary user can mount, too.
WITH_MOUNTS = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "-m"]
PUT_ON_SMALL_DISK = """
import asyncio, os, sys
from pathlib import Path
from gateway.media.objects import open_folder
from gateway.media.spooling import Spool, SpoolFile
from gateway.media.storing import MediaStore

folder, source = Path(sys.argv[1]), Path(sys.argv[2])
spool, objects = Spool(source / "spool"), open_folder(folder / "media")
store = MediaStore(None, objects, spool, None, retention_days=1)
with SpoolFile(source / "file") as file:
    file.write(bytes(2_000_000))
    spooled = file.finish()
try:
    asyncio.run(store._put_content(spooled))
except Exception as error:
    print(f"{type(error).__name__}: {error}", flush=True)
os._exit(0)  # the threads of obstore may abort an interpreter that ends while they do
"""


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = [*WITH_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_spool_file_on_a_full_disk_is_unavailable(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.symlink_to("/dev/full")

    def write() -> None:
        with SpoolFile(path) as file:
            file.write(bytes(size))
            file.finish()

    with capture_logs() as logged, pytest.raises(Unavailable, match=SENTENCE):
        write()

    assert logged == [{"event": "disk_full", "log_level": "warning"}]
    assert not path.is_symlink()


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount")
def test_store_on_a_full_disk_is_unavailable(tmp_path: Path) -> None:
    disk, source = tmp_path / "disk", tmp_path / "source"
    disk.mkdir()
    source.mkdir()
    script = 'mount -t tmpfs -o size=64k tmpfs "$1"; exec "$0" -c "$2" "$1" "$3"'

    ended = subprocess.run(
        [*WITH_MOUNTS, "sh", "-ec", script, sys.executable, disk, PUT_ON_SMALL_DISK, source],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout.splitlines()[-1] == f"Unavailable: {SENTENCE}"
    assert "Traceback" not in ended.stderr


async def test_folders_and_files_of_chats_are_private(tmp_path: Path) -> None:
    for name in ("spool", "media"):
        (tmp_path / name).mkdir(mode=0o755)

    spool = Spool(tmp_path / "spool")
    store = MediaStore(
        None,  # type: ignore[arg-type]  # no row is written
        open_folder(tmp_path / "media"),
        spool,
        new_converter(),
        retention_days=1,
    )
    async with spool.folder() as folder:
        with SpoolFile(folder / "file") as file:
            file.write(b"a picture")
            spooled = file.finish()
        assert mode_of(spooled.path) == 0o600
        await store._put_content(spooled)

    assert mode_of(tmp_path / "spool") == mode_of(tmp_path / "media") == 0o700
    (stored,) = [path for path in (tmp_path / "media").rglob("*") if path.is_file()]
    assert stored.read_bytes() == b"a picture"
    assert mode_of(stored) == 0o600
    Spool(tmp_path / "new" / "spool")
    assert mode_of(tmp_path / "new" / "spool") == 0o700


async def test_folder_on_demand_is_made_by_its_first_file_and_deleted(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    async with spool.folder_on_demand() as unused:
        assert not unused.exists()
    async with spool.folder_on_demand() as folder:
        for name in ("first", "second"):
            with SpoolFile(folder / name) as file:
                file.write(b"a picture")
        assert mode_of(folder) == 0o700
        assert len(list(folder.iterdir())) == 2

    assert list((tmp_path / "spool").iterdir()) == []
