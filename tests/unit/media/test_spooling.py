"""Files are decoded to disk in pieces, and nothing remains of a failure."""

import base64
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
        (b"QU?_",),
        (b"my photo of it",),
        (b"data:image/png;base64,QUJDR",),
        (b"QQ=QUJDQ",),
        (b"\xff\xff\xff\xff",),
    ],
)
def test_base64_invalid_leaves_no_file(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(BadFile, match="is not valid base64"):
        decoded(tmp_path, *pieces)

    assert not list(tmp_path.iterdir())


STARTS = (
    "",
    "data:image/png;base64,",
    "data:;base64,",
    "data:base64,",
    "data:image/png,",
    "data:image/png,base64,",
    "data:image/png; charset=utf-8; base64,",
    "DATA:IMAGE/PNG;BASE64, ",
    "image/png;base64,",
    "image/svg+xml;base64,",
    "base64,",
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.binary(min_size=24, max_size=300),
    before=st.text(" \t\r\n\ufeff\u200b\u00a0", max_size=3),
    start=st.sampled_from(STARTS),
    safe=st.booleans(),
    padded=st.booleans(),
    width=st.integers(1, 80),
    line_end=st.sampled_from(["\n", "\r\n", " ", ""]),
    step=st.integers(1, 100),
)
def test_base64_decodes_however_it_is_spelled(  # noqa: PLR0917 - hypothesis names them
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    before: str,
    start: str,
    safe: bool,  # noqa: FBT001 - hypothesis names it
    padded: bool,  # noqa: FBT001 - hypothesis names it
    width: int,
    line_end: str,
    step: int,
) -> None:
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(content).decode()
    text = text if padded else text.rstrip("=")
    text = line_end.join(text[n : n + width] for n in range(0, len(text), width))
    first, rest = (before + start + text[:1]).encode(), text[1:].encode()
    folder = tmp_path_factory.mktemp("base64")

    file = decoded(folder, first, *(rest[n : n + step] for n in range(0, len(rest), step)))

    assert file.path.read_bytes() == content


@pytest.mark.parametrize(
    ("start", "mime_type", "file_name"),
    [
        ("data:text/csv;name=vendas.csv;base64,", "text/csv", "vendas.csv"),
        ("data:text/csv;filename=a%20b.csv;base64,", "text/csv", "a b.csv"),
        ("data:application/pdf;base64,", "application/pdf", None),
        ("data:text/csv;name=../../x.csv;base64,", "text/csv", "_.._x.csv"),
        ("image/png;base64,", "image/png", None),
        ("base64,", None, None),
    ],
)
def test_header_of_base64_names_type_and_file(
    tmp_path: Path, start: str, mime_type: str | None, file_name: str | None
) -> None:
    file = decoded(tmp_path, start.encode() + b"QUJD")

    assert (file.declared_type, file.declared_name) == (mime_type, file_name)


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
