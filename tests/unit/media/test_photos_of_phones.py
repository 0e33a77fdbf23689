"""What phones take arrives as what phones show: HEIC as JPEG, and a short JPEG as it is."""

import io
import random
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from gateway.contract.media import MediaFile, MediaKind
from gateway.media.child.work import work
from gateway.media.converting import with_facts
from gateway.media.jobs import Job, JobKind, JobLimits
from gateway.media.sniffing import type_of
from tests.fixtures import media
from tests.fixtures.heic import TILE, Photo, gradient

_TOLERANCE = 6  # what two lossy codecs change
Color = tuple[int, int, int]
IPHONE = (4_032, 3_024)


def ready(tmp_path: Path, kind: JobKind, content: bytes) -> MediaFile:
    path = tmp_path / "original"
    path.write_bytes(content)
    mime_type = type_of(path)
    result = work(Job(kind, path, mime_type, len(content), tmp_path, JobLimits()))
    return with_facts(MediaFile(path, mime_type, len(content), ""), tmp_path, result)


def differs_at(shown: Image.Image, expected: Image.Image) -> list[tuple[int, int]]:
    """Returns the places, one within each tile, at which two pictures differ."""
    assert shown.size == expected.size
    pixels, wanted = shown.convert("RGB").load(), expected.load()
    assert pixels is not None
    assert wanted is not None
    return [
        (x, y)
        for x in range(TILE // 4, expected.width, TILE // 2)
        for y in range(TILE // 4, expected.height, TILE // 2)
        if any(
            abs(a - b) > _TOLERANCE
            for a, b in zip(cast("Color", pixels[x, y]), cast("Color", wanted[x, y]), strict=True)
        )
    ]


@pytest.mark.parametrize(
    ("size", "quarters", "mirror", "orientation"),
    [
        (IPHONE, 3, False, 6),  # an upright photo of 48 tiles, with the Exif note that phones add
        ((1_000, 700), 0, False, None),
        ((1_000, 700), 1, True, None),
        ((1_000, 700), 2, False, 3),
        ((300, 200), 3, True, 8),  # a single tile
    ],
)
def test_photo_of_tiles_becomes_upright_jpeg(
    tmp_path: Path,
    size: tuple[int, int],
    quarters: int,
    mirror: bool,  # noqa: FBT001 - a parameter of the test
    orientation: int | None,
) -> None:
    photo = Photo(gradient(size, 256), quarters, mirror, orientation)
    expected = photo.shown()

    made = ready(tmp_path, "image", photo.heic())

    assert made.mime_type == type_of(made.path) == "image/jpeg"
    assert (made.width, made.height) == expected.size
    assert made.thumbnail is not None
    with Image.open(made.path) as shown:
        assert shown.getexif().get(0x0112, 1) == 1
        assert not differs_at(shown, expected)


@pytest.mark.parametrize(("kind", "side"), [("sticker", 512), ("thumbnail", 640)])
def test_photo_becomes_sticker_and_picture_of_a_card(
    tmp_path: Path, kind: JobKind, side: int
) -> None:
    made = ready(tmp_path, kind, Photo(gradient((1_000, 700))).heic())

    assert max(made.width or 0, made.height or 0) == side


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_picture_without_its_last_bytes_is_sent_as_it_is(
    tmp_path: Path, form: str, seed: int
) -> None:
    chosen = random.Random(seed)
    noise = Image.frombytes("RGB", (160, 120), chosen.randbytes(160 * 120 * 3))
    written = io.BytesIO()
    noise.save(written, form, progressive=seed % 2 == 1)
    content = written.getvalue()
    short = content[: len(content) - chosen.randrange(1, len(content) // 3)]

    made = ready(tmp_path, "image", short)

    assert made.path.read_bytes() == short
    assert (made.width, made.height) == (160, 120)
    assert made.thumbnail is not None


@pytest.mark.parametrize("kind", ["sticker", "thumbnail"])
def test_short_jpeg_is_converted_as_far_as_it_goes(tmp_path: Path, kind: MediaKind) -> None:
    content = media.picture("JPEG", (400, 300))

    made = ready(tmp_path, kind, content[:-40])  # type: ignore[arg-type]  # both are jobs too

    assert made.path.name != "original"
