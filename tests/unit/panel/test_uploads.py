"""Forms with a file are read in pieces of any size, and refused before the file where they must."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.panel.forms import Form
from gateway.panel.uploads import Upload, UploadReader

CONTENT = b"first\r\n--not the end\r\n" + bytes(range(256))


class Sent:
    """A request with this body, in chunks of *size* bytes."""

    def __init__(self, body: bytes, size: int, boundary: str = "edge") -> None:
        self.headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        self._body, self._size = body, size

    async def stream(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), self._size):
            yield self._body[start : start + self._size]
        yield b""


def part(name: str, value: bytes, file_name: str | None = None) -> bytes:
    also = "" if file_name is None else f'; filename="{file_name}"'
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{also}\r\n'
    kind = "" if file_name is None else "Content-Type: text/plain\r\n"
    return (head + kind + "\r\n").encode() + value + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--edge--\r\n"


async def read(
    sent: Any, folder: Path, check: Any = lambda _form: None, max_bytes: int = 1_000
) -> tuple[Form, Upload | None]:
    reader = UploadReader(sent, folder / "upload", max_bytes=max_bytes, reserve=None, check=check)
    return await reader.read()


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
async def test_chunks_of_any_size_give_the_same_form(size: int, tmp_path: Path) -> None:
    sent = body(
        part("message", "ol\u00e1\r\nlinha".encode()),
        part("file", CONTENT, "a %22b%22 \u00e7.txt"),
        part("key", b""),
    )

    form, upload = await read(Sent(sent, size), tmp_path)

    assert form.raw("message") == "ol\u00e1\r\nlinha"
    assert form.raw("key") == ""
    assert upload is not None
    assert upload.file.path.read_bytes() == CONTENT
    assert upload.file.size_bytes == len(CONTENT)
    assert upload.name is not None
    assert "/" not in upload.name


async def test_form_without_a_chosen_file_has_none(tmp_path: Path) -> None:
    form, upload = await read(Sent(body(part("a", b"1"), part("file", b"", "")), 9), tmp_path)

    assert upload is None
    assert form.raw("a") == "1"


async def test_refused_form_stores_nothing(tmp_path: Path) -> None:
    def refuse(form: Form) -> None:
        assert form.raw("csrf_token") == "wrong"
        raise PermissionError

    sent = body(part("csrf_token", b"wrong"), part("file", CONTENT, "a.txt"))
    with pytest.raises(PermissionError):
        await read(Sent(sent, 50), tmp_path, refuse)
    assert not (tmp_path / "upload").exists()


@pytest.mark.parametrize(
    ("sent", "error", "says"),
    [
        (body(part("file", b"x" * 2_000, "a")), InvalidRequest, "larger"),
        (body(part("file", b"", "a")), InvalidRequest, "empty"),
        (body(part("file", b"1", "a"), part("file", b"2", "b")), InvalidRequest, "one file"),
        (body(part("text", b"x" * 300_000)), BodyTooLarge, "large"),
        (part("text", b"cut off"), InvalidRequest, "cannot be read"),
        (b"no form at all", InvalidRequest, "cannot be read"),
        (b"--edge\r\n" + b"x" * 10_000, InvalidRequest, "cannot be read"),
        (b"--edge\r\nX: y\r\n\r\nvalue\r\n--edge--", InvalidRequest, "cannot be read"),
    ],
)
async def test_what_is_no_such_form_is_refused(
    sent: bytes, error: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        await read(Sent(sent, 400), tmp_path)
    assert not (tmp_path / "upload").exists() or (tmp_path / "upload").stat().st_size <= 1
