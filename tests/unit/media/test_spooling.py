"""Files are decoded to disk in pieces, and nothing remains of a failure."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from gateway.media.spooling import BadFile, Base64File, Spool, Spooled, SpoolFile


def decoded(tmp_path: Path, *pieces: bytes, max_bytes: int | None = None) -> Spooled:
    with SpoolFile(tmp_path / "file", max_bytes=max_bytes) as file:
        base64_file = Base64File(file)
        for piece in pieces:
            base64_file.feed(piece)
        return base64_file.finish()


@pytest.mark.parametrize("start", [b"", b"data:image/png;base64,", b"DATA:;charset=x;BASE64,"])
@pytest.mark.parametrize("step", [1, 3, 4, 1_000])
def test_base64_decodes_whatever_pieces(tmp_path: Path, start: bytes, step: int) -> None:
    content = bytes(range(256)) + b"x"
    text = base64.encodebytes(content)

    file = decoded(
        tmp_path, start + text[:4], *(text[n : n + step] for n in range(4, len(text), step))
    )

    assert file.path.read_bytes() == content
    assert (file.size_bytes, file.sha256) == (257, hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    "pieces",
    [
        (b"QUJ",),
        (
            b"QUJD",
            b"=",
        ),
        (b"QQ==", b"QUJD"),
        (b"Q===",),
        (b"QU-_",),
        (b"QQ=QUJDQ",),
        (b"\xff\xff\xff\xff",),
    ],
)
def test_base64_invalid_leaves_no_file(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(BadFile, match="is not valid base64"):
        decoded(tmp_path, *pieces)

    assert not list(tmp_path.iterdir())


def test_spool_file_over_limit_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="is larger than 1 MiB"):
        decoded(tmp_path, b"QUJD" * 400_000, max_bytes=1024 * 1024)

    assert not list(tmp_path.iterdir())


def test_delete_stale_removes_only_old_folders(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for name in ("old", "new"):
        (tmp_path / "spool" / name / "inner").mkdir(parents=True)
        (tmp_path / "spool" / name / "inner" / "file").write_bytes(b"x")
    os.utime(tmp_path / "spool" / "old", (0, 0))

    spool.delete_stale()

    assert [folder.name for folder in (tmp_path / "spool").iterdir()] == ["new"]
