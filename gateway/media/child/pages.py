"""Reads the title, description and picture of a web page.

A page of 400 KB with nested elements takes the parser ten seconds, so it is not read elsewhere.
"""

from selectolax.lexbor import LexborHTMLParser

from gateway.media.jobs import Job, JobResult

_MAX_LENGTHS = {"title": 300, "description": 1_000, "image": 2_000}
_SELECTORS = {
    "title": ('meta[property="og:title"]', 'meta[name="twitter:title"]', "title"),
    "description": ('meta[property="og:description"]', 'meta[name="description"]'),
    "image": ('meta[property="og:image"]', 'meta[name="twitter:image"]'),
}


def read_page(job: Job) -> JobResult:
    """Returns the texts `title`, `description` and `image`, those that the page has."""
    tree = LexborHTMLParser(job.source.read_bytes())
    texts = {}
    for name, selectors in _SELECTORS.items():
        if text := _first_text(tree, selectors):
            texts[name] = text[: _MAX_LENGTHS[name]]
    return JobResult(texts=texts)


def _first_text(tree: LexborHTMLParser, selectors: tuple[str, ...]) -> str | None:
    for selector in selectors:
        found = tree.css_first(selector)
        text = (found.attributes.get("content") or found.text()) if found else ""
        if text and text.strip():
            return " ".join(text.split())
    return None
