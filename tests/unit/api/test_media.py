"""A Range header names a part of a file, or none, whatever its numbers."""

import pytest
from starlette.requests import Request

from gateway.api.media import _requested_part

SIZE, MANY = 1_000, "9" * 5_000


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("bytes=0-", (0, 1_000)),
        ("bytes=10-19", (10, 20)),
        ("bytes=-10", (990, 1_000)),
        ("bytes=999-", (999, 1_000)),
        ("bytes=1000-", None),
        ("bytes=-0", None),
        ("bytes=5-4", None),
        (f"bytes=10-{MANY}", (10, 1_000)),
        (f"bytes=-{MANY}", (0, 1_000)),
        (f"bytes={MANY}-", None),
        (f"bytes={MANY}-{MANY}", None),
        ("bytes=\xb2-", (0, 1_000)),
        ("bytes=-", (0, 1_000)),
        ("bytes=0-1,3-4", (0, 1_000)),
        ("", (0, 1_000)),
    ],
)
def test_requested_part_is_within_the_file(written: str, part: tuple[int, int] | None) -> None:
    headers = [(b"range", written.encode("latin-1"))]
    request = Request({"type": "http", "headers": headers})

    assert _requested_part(request, SIZE, '"tag"') == part


def test_requested_part_of_an_empty_file_is_all_of_it_or_none() -> None:
    def part(written: bytes) -> tuple[int, int] | None:
        headers = [(b"range", written)]
        return _requested_part(Request({"type": "http", "headers": headers}), 0, '"tag"')

    assert part(b"") == (0, 0)
    assert part(b"bytes=0-") is None
