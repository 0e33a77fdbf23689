"""Reads the title, description and image of a page, for the preview of a link."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin

from gateway.contract.media import Preview
from gateway.media.converting import Converter
from gateway.media.fetching import Fetcher
from gateway.media.spooling import BadFile

_MAX_PAGE_BYTES = 512 * 1024
_PAGE_SECONDS = 5.0


async def read_page(
    fetcher: Fetcher,
    converter: Converter,
    url: str,
    folder: Path,
    *,
    instance_id: str,
    owner: str,
) -> tuple[Preview, str | None]:
    """Returns the preview of the page at *url*, and the URL of its image.

    Raises:
        BadFile: the page does not exist or is not HTML.
        TryAgainLater: its server failed or did not answer in time.
        Unavailable: the disk is full.
    """
    page = await fetcher.fetch(
        url,
        folder / "page",
        owner=owner,
        max_bytes=_MAX_PAGE_BYTES,
        timeout_seconds=_PAGE_SECONDS,
        cut=True,
    )
    if page.declared_type not in {"text/html", "application/xhtml+xml"}:
        raise BadFile("is not a web page")
    texts = await converter.read("page", page.file.path, instance_id=instance_id)
    return _preview(url, texts, page.url)


def _preview(url: str, texts: Mapping[str, str], base: str) -> tuple[Preview, str | None]:
    image = texts.get("image")
    preview = Preview(url, texts.get("title"), texts.get("description"))
    return preview, image and _joined(base, image)


def _joined(base: str, image: str) -> str | None:
    try:
        return urljoin(base, image)
    except ValueError:  # such as an unclosed bracket
        return None
