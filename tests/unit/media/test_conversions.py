"""Each kind of file is converted to the form that phones show."""

import hashlib
import io
from pathlib import Path

import av
import pytest
from PIL import Image

from gateway.contract.media import MediaFile, MediaKind
from gateway.media.child.work import work
from gateway.media.converting import with_facts
from gateway.media.jobs import Job, JobKind, JobLimits
from gateway.media.sniffing import type_of
from gateway.media.spooling import BadFile
from tests.fixtures import media


def ready(
    tmp_path: Path, kind: MediaKind, content: bytes, limits: JobLimits | None = None
) -> MediaFile:
    path = tmp_path / "original"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    given = MediaFile(path, type_of(path), len(content), digest)
    job_kind: JobKind = "video" if kind == "ptv" else kind  # type: ignore[assignment]
    result = work(
        Job(job_kind, path, given.mime_type, len(content), tmp_path, limits or JobLimits())
    )
    if result.needs_transcoding:
        result = work(
            Job("transcode", path, given.mime_type, len(content), tmp_path, limits or JobLimits())
        )
    made = with_facts(given, tmp_path, result)
    assert made.size_bytes == made.path.stat().st_size
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    return made


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_image_that_phones_show_stays_unchanged(tmp_path: Path, form: str) -> None:
    content = media.picture(form)

    made = ready(tmp_path, "image", content)

    assert made.path.read_bytes() == content
    assert (made.width, made.height) == (120, 80)
    assert made.thumbnail is not None
    assert max(Image.open(io.BytesIO(made.thumbnail)).size) <= 100


@pytest.mark.parametrize("form", ["WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_image_of_other_type_becomes_jpeg(tmp_path: Path, form: str) -> None:
    made = ready(tmp_path, "image", media.picture(form))

    assert made.mime_type == type_of(made.path) == "image/jpeg"
    assert (made.width, made.height) == (120, 80)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_sticker_becomes_webp_of_512_pixels(tmp_path: Path, form: str) -> None:
    made = ready(tmp_path, "sticker", media.picture(form))

    assert made.mime_type == type_of(made.path) == "image/webp"
    with Image.open(made.path) as image:
        assert image.size == (512, 512)
    assert made.size_bytes <= 100 * 1024


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_sticker_from_moving_image_keeps_frames(tmp_path: Path, form: str) -> None:
    made = ready(tmp_path, "sticker", media.moving_picture(form))

    with Image.open(made.path) as image:
        assert image.size == (512, 512)
        assert image.n_frames == 4  # type: ignore[attr-defined]


def test_sticker_in_final_form_stays_unchanged(tmp_path: Path) -> None:
    content = media.picture("WEBP", (512, 512))

    assert ready(tmp_path, "sticker", content).path.read_bytes() == content


def test_audio_becomes_mono_opus_with_waveform(tmp_path: Path) -> None:
    made = ready(tmp_path, "audio", media.sound(2.0))

    assert made.mime_type == "audio/ogg; codecs=opus"
    assert made.duration_seconds == pytest.approx(2.0, abs=0.05)
    assert made.waveform is not None
    assert len(made.waveform) == 64
    assert made.waveform[2] < made.waveform[30] < made.waveform[62] <= 100
    with av.open(str(made.path)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.channels) == ("opus", 1)


def test_audio_in_final_form_stays_unchanged(tmp_path: Path) -> None:
    once = ready(tmp_path, "audio", media.sound(1.0)).path.read_bytes()
    (tmp_path / "again").mkdir()

    again = ready(tmp_path / "again", "audio", once)

    assert again.path.read_bytes() == once
    assert again.duration_seconds == pytest.approx(1.0, abs=0.05)


def test_audio_from_silent_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="holds no sound"):
        ready(tmp_path, "audio", media.video())


@pytest.mark.parametrize("kind", ["video", "ptv", "gif"])
def test_video_stays_and_gets_first_frame_as_thumbnail(tmp_path: Path, kind: MediaKind) -> None:
    content = media.video()

    made = ready(tmp_path, kind, content)

    assert made.path.read_bytes() == content
    assert (made.width, made.height) == (64, 48)
    assert made.duration_seconds == pytest.approx(1.0, abs=0.2)
    assert made.thumbnail is not None
    red, _green, blue = Image.open(io.BytesIO(made.thumbnail)).convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert blue > 200
    assert red < 100


def test_gif_becomes_mp4(tmp_path: Path) -> None:
    made = ready(tmp_path, "gif", media.moving_picture())

    assert made.mime_type == type_of(made.path) == "video/mp4"
    assert made.duration_seconds == pytest.approx(0.4, abs=0.15)
    assert (made.width, made.height) == (60, 40)


def test_link_image_becomes_small_jpeg(tmp_path: Path) -> None:
    made = ready(tmp_path, "thumbnail", media.picture("PNG", (2_000, 1_000)))

    assert (made.mime_type, made.width, made.height) == ("image/jpeg", 640, 320)


@pytest.mark.parametrize("kind", ["image", "sticker", "thumbnail", "audio", "video", "gif", "ptv"])
def test_convert_unreadable_file_is_refused(tmp_path: Path, kind: MediaKind) -> None:
    with pytest.raises(BadFile, match=r"cannot be read|holds no sound"):
        ready(tmp_path, kind, b"\x89PNG\r\n\x1a\n and nothing more")


@pytest.mark.parametrize("kind", ["image", "sticker", "thumbnail", "gif"])
def test_gif_with_too_many_pixels_is_not_decoded(tmp_path: Path, kind: MediaKind) -> None:
    with pytest.raises(BadFile, match="million pixels"):
        ready(tmp_path, kind, media.moving_picture(), JobLimits(max_pixels=1_000))
