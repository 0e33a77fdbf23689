"""A picture that a caller names becomes a JPEG of the size that WhatsApp shows."""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from gateway.clock import Clock
from gateway.errors import InvalidRequest
from gateway.media.fetching import Fetcher
from gateway.media.pictures import Pictures
from gateway.media.spooling import Spool
from gateway.public_address import AddressPolicy
from tests.fixtures.conversions import new_converter


@pytest.fixture
async def pictures(tmp_path: Path) -> AsyncIterator[Pictures]:
    converter = new_converter()
    fetcher = Fetcher(AddressPolicy(), Clock(), timeout_seconds=1)
    yield Pictures(fetcher, converter, Spool(tmp_path / "spool"))
    await converter.close()


async def test_picture_large_png_becomes_jpeg_of_640_pixels(pictures: Pictures) -> None:
    png = io.BytesIO()
    Image.new("RGBA", (1000, 500), (255, 0, 0, 128)).save(png, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
    with Image.open(io.BytesIO(await pictures.jpeg("i", source))) as made:
        assert (made.format, made.size) == ("JPEG", (640, 320))


@pytest.mark.parametrize("source", ["no picture", base64.b64encode(b"%PDF-1.4").decode()])
async def test_picture_from_other_file_is_refused(pictures: Pictures, source: str) -> None:
    with pytest.raises(InvalidRequest, match="The picture"):
        await pictures.jpeg("i", source)
