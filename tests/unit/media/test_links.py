"""A signed link opens one file until it expires."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from gateway.clock import Clock
from gateway.errors import Forbidden
from gateway.media.links import LinkSigner

BASE_URL = "https://example.com"


class StoppedClock(Clock):
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


def opened(links: LinkSigner, link: str, **changed: str) -> None:
    parts = urlsplit(link)
    _, _, instance_id, file_id, name = map(unquote, parts.path.split("/"))
    query = {key: value[0] for key, value in parse_qs(parts.query).items()}
    given = {
        "instance_id": instance_id,
        "file_id": file_id,
        "file_name": name,
        **query,
        **changed,
    }
    links.check(**given)


def test_link_opens_until_it_expires() -> None:
    clock = StoppedClock()
    links = LinkSigner(["new", "old"], clock, days=30)
    link = links.link_to("I1", "f" * 64, "a b/\u00e9.pdf", base_url="https://example.com/")

    assert link.startswith("https://example.com/media/I1/")
    opened(links, link)
    opened(LinkSigner(["newest", "new"], clock, days=1), link)
    clock.at += timedelta(days=30, seconds=1)
    with pytest.raises(Forbidden, match="has expired"):
        opened(links, link)


@pytest.mark.parametrize(
    "changed",
    [
        {"instance_id": "I2"},
        {"file_id": "e" * 64},
        {"file_name": "page.html"},
        {"expires": "99999999999"},
        {"expires": "soon"},
        {"expires": "9" * 5_000},
        {"expires": "\u0661"},
        {"signature": "0" * 64},
        {"signature": "\u00e9"},
    ],
)
def test_link_with_changed_part_is_refused(changed: dict[str, str]) -> None:
    links = LinkSigner(["key"], StoppedClock(), days=30)

    with pytest.raises(Forbidden, match="not valid"):
        opened(links, links.link_to("I1", "f" * 64, "a.pdf", base_url=BASE_URL), **changed)


def test_link_of_other_secret_is_refused() -> None:
    link = LinkSigner(["key"], StoppedClock(), days=30).link_to("I", "f", "a", base_url=BASE_URL)

    with pytest.raises(Forbidden):
        opened(LinkSigner(["other"], StoppedClock(), days=30), link)
