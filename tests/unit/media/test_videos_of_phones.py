"""Any video arrives as what phones play: MP4 with H.264 (4:2:0, 8 bit) and AAC."""

import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
from PIL import Image

from gateway.contract.media import MediaFile
from gateway.media.converting import Converter
from gateway.media.jobs import JobLimits
from gateway.media.sniffing import type_of
from gateway.media.spooling import BadFile
from tests.fixtures import media
from tests.fixtures.conversions import new_converter
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.videos import VideoForm, video_in, video_of_one_picture

COPIED = [
    VideoForm("mov", "libx264"),
    VideoForm("matroska", "libx264"),
    VideoForm("flv", "libx264"),
    VideoForm("mpegts", "libx264"),
    VideoForm("3gp", "libx264"),
    VideoForm("mov", "libx264", None),
]
ENCODED = [
    VideoForm("mov", "libx265"),
    VideoForm("mov", "prores_ks", "pcm_s16le", "yuv422p10le"),
    VideoForm("mov", "mjpeg", "pcm_s16le", "yuvj422p"),
    VideoForm("mp4", "libx264", "aac", "yuv444p"),
    VideoForm("mp4", "libx264", "aac", "yuv420p10le"),
    VideoForm("mp4", "libx265", "aac", "yuv420p10le"),
    VideoForm("mp4", "libx265"),
    VideoForm("mp4", "mpeg4"),
    VideoForm("mp4", "libx264", "libmp3lame"),
    VideoForm("matroska", "libx264", "libopus"),
    VideoForm("matroska", "libx264", "ac3"),
    VideoForm("webm", "libvpx", "libopus"),
    VideoForm("webm", "libvpx-vp9", "libopus"),
    VideoForm("avi", "mpeg4", "libmp3lame"),
    VideoForm("avi", "libx264", "libmp3lame"),
    VideoForm("avi", "mjpeg", None, "yuvj420p", (130, 94)),
    VideoForm("asf", "wmv2", "wmav2"),
    VideoForm("flv", "flv", "libmp3lame"),
    VideoForm("mpeg", "mpeg1video", "mp2", rate=25),
    VideoForm("mpegts", "mpeg2video", "mp2", rate=25),
    VideoForm("mpegts", "libx265"),
    VideoForm("3gp", "h263", "libopencore_amrnb"),
]


@pytest.fixture(scope="module")
async def converter() -> AsyncIterator[Converter]:
    converter = new_converter(JobLimits(max_video_seconds=60))
    yield converter
    await converter.close()


async def ready(converter: Converter, folder: Path, content: bytes) -> MediaFile:
    path = folder / "original"
    path.write_bytes(content)
    given = MediaFile(path, type_of(path), len(content), hashlib.sha256(content).hexdigest())
    return await converter.convert(given, "video", folder, instance_id="i")


def check_plays(made: MediaFile, form: VideoForm) -> av.VideoFrame:
    """Checks that phones play the file, with all of its pictures and sound; returns a frame."""
    assert made.mime_type == type_of(made.path) == "video/mp4"
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    content = made.path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(made.path)) as container:
        (video,) = container.streams.video
        assert (video.codec_context.name, video.codec_context.pix_fmt) in {
            ("h264", "yuv420p"),
            ("h264", "yuvj420p"),
        }
        assert [s.codec_context.name for s in container.streams.audio] == ["aac"] * bool(form.sound)
        frames = list(container.decode(video))
    assert len(frames) == form.frames
    assert frames[0].time == pytest.approx(0, abs=0.1)
    assert frames[-1].time == pytest.approx((form.frames - 1) / form.rate, abs=0.1)
    with av.open(str(made.path)) as container:
        heard = (
            sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
            if (form.sound)
            else 0
        )
    assert heard == pytest.approx(form.frames / form.rate if form.sound else 0, abs=0.2)
    return frames[0]


def colors(picture: Image.Image) -> list[str]:
    """Returns the stronger colour of the left and of the right side."""
    found = []
    for x in (picture.width // 8, picture.width * 7 // 8):
        pixel = picture.convert("RGB").getpixel((x, picture.height // 2))
        assert isinstance(pixel, tuple)
        found.append("red" if pixel[0] > pixel[2] else "blue")
    return found


@pytest.mark.parametrize("form", [*COPIED, *ENCODED], ids=str)
async def test_video_becomes_what_phones_play(
    converter: Converter, tmp_path: Path, form: VideoForm
) -> None:
    made = await ready(converter, tmp_path, video_in(form))

    frame = check_plays(made, form)
    assert colors(frame.to_image()) == ["red", "blue"]  # type: ignore[no-untyped-call]
    assert made.path.name == ("copied.mp4" if form in COPIED else "transcoded.mp4")
    assert made.thumbnail is not None
    assert colors(Image.open(io.BytesIO(made.thumbnail))) == ["red", "blue"]


async def test_copied_pictures_keep_their_bits(converter: Converter, tmp_path: Path) -> None:
    content = video_in(VideoForm("matroska", "libx264", None))
    made = await ready(converter, tmp_path, content)

    with av.open(io.BytesIO(content), "r") as given, av.open(str(made.path)) as shown:
        pairs = zip(given.decode(video=0), shown.decode(video=0), strict=True)
        assert all(bytes(a.planes[0]) == bytes(b.planes[0]) for a, b in pairs)


@pytest.mark.parametrize("turned", [90, -90, 180])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
async def test_turned_video_stays_turned(
    converter: Converter, tmp_path: Path, codec: str, turned: int
) -> None:
    form = VideoForm("mov", codec, turned=turned)
    made = await ready(converter, tmp_path, video_in(form))

    frame = check_plays(made, form)
    assert frame.rotation % 360 == turned % 360
    upright = (128, 96) if turned == 180 else (96, 128)
    assert (made.width, made.height) == upright
    assert made.thumbnail is not None
    thumbnail = Image.open(io.BytesIO(made.thumbnail))
    assert (thumbnail.width > thumbnail.height) == (turned == 180)
    if turned == 180:
        assert colors(thumbnail) == ["blue", "red"]


async def test_fast_video_gets_thirty_pictures_a_second(
    converter: Converter, tmp_path: Path
) -> None:
    content = video_in(VideoForm("webm", "libvpx", "libopus", frames=60, rate=60))
    made = await ready(converter, tmp_path, content)

    with av.open(str(made.path)) as container:
        assert len(list(container.decode(video=0))) == 30


async def test_large_video_becomes_smaller(converter: Converter, tmp_path: Path) -> None:
    form = VideoForm("mp4", "libx265", size=(1_080, 1_920), frames=2)
    made = await ready(converter, tmp_path, video_in(form))

    assert (made.width, made.height) == (720, 1_280)


async def test_long_video_that_must_be_encoded_is_refused(
    converter: Converter, tmp_path: Path
) -> None:
    form = VideoForm("webm", "libvpx", None, size=(32, 32), frames=95, rate=1)
    with pytest.raises(BadFile, match=r"converted and is too long \(2 min\); send MP4 with H.264"):
        await ready(converter, tmp_path, video_in(form))


async def test_long_video_that_is_copied_is_sent(converter: Converter, tmp_path: Path) -> None:
    form = VideoForm("mov", "libx264", None, size=(32, 32), frames=95, rate=1)
    made = await ready(converter, tmp_path, video_in(form))

    assert made.duration_seconds == pytest.approx(95, abs=1)


async def test_slow_transcoding_says_what_to_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine gives a converter little of its processor, and its patience would end first.
    monkeypatch.setattr("gateway.media.job_pool._WALL_GRACE_SECONDS", PATIENCE_SECONDS)
    converter = new_converter(JobLimits(video_cpu_seconds=0))  # the system counts whole seconds
    content = video_of_one_picture(media.picture("JPEG", (1_280, 720)), 3_000)
    with pytest.raises(BadFile, match=r"processor time.*; send MP4 with H.264 and AAC"):
        await ready(converter, tmp_path, content)
    await converter.close()


async def test_video_of_broken_packets_is_sent(converter: Converter, tmp_path: Path) -> None:
    content = bytearray(media.video())
    at = content.index(b"mdat") + 700
    content[at : at + 20] = bytes(20)

    made = await ready(converter, tmp_path, bytes(content))

    assert made.path.read_bytes() == bytes(content)
