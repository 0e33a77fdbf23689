"""Files as phones and programs name and cut them: K04, K13 (in test_spooling), K15 and K28."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.media import MediaFile
from gateway.media.child.work import work
from gateway.media.converting import with_facts
from gateway.media.jobs import Job, JobLimits
from gateway.media.sniffing import type_of
from tests.fixtures import media
from tests.fixtures.heic import Photo, gradient
from tests.fixtures.office import ole, pkcs12, zip_of
from tests.fixtures.videos import VideoForm, video_in

FEW = settings(max_examples=10, deadline=None)
SIZE = (320, 240)


@cache
def picture(form: str) -> bytes:
    if form == "HEIC":
        return Photo(gradient(SIZE)).heic()
    return media.picture(form, SIZE)


def sent(content: bytes) -> MediaFile:
    """Returns the file that is sent as an image."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "original")
        path.write_bytes(content)
        mime_type = type_of(path)
        result = work(Job("image", path, mime_type, len(content), Path(folder), JobLimits()))
        return with_facts(MediaFile(path, mime_type, len(content), ""), Path(folder), result)


@FEW
@given(st.sampled_from(["JPEG", "PNG"]), st.floats(0.5, 1.0), st.binary(max_size=40))
def test_picture_without_its_end_or_with_more_is_sent(form: str, part: float, after: bytes) -> None:
    whole = picture(form)

    made = sent(whole[: max(int(len(whole) * part), len(whole) - 400)] + after)

    assert made.mime_type == f"image/{form.lower()}"
    assert (made.width, made.height) == SIZE


@FEW
@given(st.sampled_from(["HEIC", "TIFF", "BMP", "WEBP", "AVIF"]))
def test_picture_that_phones_do_not_show_becomes_jpeg(form: str) -> None:
    made = sent(picture(form))

    assert (made.mime_type, made.width, made.height) == ("image/jpeg", *SIZE)


# K15 and K28: the bytes decide between families, the name and what is said within one.

CONTENTS: dict[str, Callable[[], bytes]] = {
    "video/mp2t": lambda: video_in(VideoForm("mpegts", "libx264")),
    "image/png": media.picture,
    "application/pdf": lambda: b"%PDF-1.7\n%x",
    "application/vnd.ms-excel": lambda: ole("Workbook"),
    "application/msword": lambda: ole("WordDocument"),
    "application/vnd.android.package-archive": lambda: zip_of("AndroidManifest.xml"),
}
NAMES = st.sampled_from([None, "a.ts", "a.txt", "a.html", "a.pdf", "a", "a.mp3", "a.exe", "a.TS"])
DECLARED = st.sampled_from([None, "", "text/plain", "application/octet-stream", "text/html"])
made_once = cache(lambda mime_type: CONTENTS[mime_type]())


@FEW
@given(st.sampled_from([*CONTENTS]), NAMES, DECLARED)
def test_neither_name_nor_declared_type_changes_what_the_bytes_say(
    mime_type: str, name: str | None, declared: str | None
) -> None:
    assert type_in(made_once(mime_type), name, declared) == mime_type


@FEW
@given(
    st.sampled_from(
        [
            (b"a;b\n1;2\n", "vendas.csv", "text/csv"),
            (b"BEGIN:VCARD\n", "joe.vcf", "text/vcard"),
            (b'{"a": 1}', "a.json", "application/json"),
            (ole(None), "contas.xls", "application/vnd.ms-excel"),
            (pkcs12(), "chave.p12", "application/x-pkcs12"),
        ]
    ),
    st.sampled_from([str, str.upper, str.title]),
    DECLARED,
)
def test_name_decides_where_the_bytes_leave_it_open(
    file: tuple[bytes, str, str], spelled: Callable[[str], str], declared: str | None
) -> None:
    content, name, mime_type = file

    assert type_in(content, spelled(name), declared) == mime_type


def type_in(content: bytes, name: str | None, declared: str | None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(content)
        return type_of(path, name, declared)
