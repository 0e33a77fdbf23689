"""Reads the title, description and image of a page, for the preview of a link."""

import asyncio
from pathlib import Path
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from gateway.contract.media import Preview
from gateway.media.fetching import Fetcher
from gateway.media.spooling import BadFile

_MAX_PAGE_BYTES = 512 * 1024
_PAGE_SECONDS = 5.0
_MAX_TITLE_LENGTH, _MAX_DESCRIPTION_LENGTH = 300, 1_000


async def read_page(
    fetcher: Fetcher, url: str, folder: Path, *, owner: str
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
    return await asyncio.to_thread(_read, page.file.path, url, page.url)


def _read(path: Path, url: str, base: str) -> tuple[Preview, str | None]:
    tree = LexborHTMLParser(path.read_bytes())

    def first_text(*selectors: str) -> str | None:
        for selector in selectors:
            found = tree.css_first(selector)
            text = (found.attributes.get("content") or found.text()) if found else ""
            if text and text.strip():
                return " ".join(text.split())
        return None

    title = first_text('meta[property="og:title"]', 'meta[name="twitter:title"]', "title")
    description = first_text('meta[property="og:description"]', 'meta[name="description"]')
    image = first_text('meta[property="og:image"]', 'meta[name="twitter:image"]')
    preview = Preview(
        url,
        title and title[:_MAX_TITLE_LENGTH],
        description and description[:_MAX_DESCRIPTION_LENGTH],
    )
    return preview, image and urljoin(base, image)
