"""A picture that a caller named, as WhatsApp takes it."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from gateway.errors import InvalidRequest
from gateway.media.converting import Converter
from gateway.media.fetching import Fetcher
from gateway.media.pictures import Pictures
from gateway.media.spooling import Spool
from gateway.public_address import AddressPolicy


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Pictures]:
    converter = Converter(processes=1)
    fetcher = Fetcher(AddressPolicy(), timeout_seconds=1)
    yield Pictures(fetcher, converter, Spool(tmp_path / "spool"))
    converter.close()


async def test_a_large_png_becomes_a_jpeg_of_the_size_that_is_shown(pictures: Pictures) -> None:
    png = io.BytesIO()
    Image.new("RGBA", (1000, 500), (255, 0, 0, 128)).save(png, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
    with Image.open(io.BytesIO(await pictures.jpeg(source))) as made:
        assert (made.format, made.size) == ("JPEG", (640, 320))


@pytest.mark.parametrize("source", ["no picture", base64.b64encode(b"%PDF-1.4").decode()])
async def test_what_is_no_picture_is_said_to_the_caller(pictures: Pictures, source: str) -> None:
    with pytest.raises(InvalidRequest, match="The picture"):
        await pictures.jpeg(source)
