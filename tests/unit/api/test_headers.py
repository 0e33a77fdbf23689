"""A header is found as it came."""

from starlette.datastructures import Headers

from gateway.api.headers import header_of


def test_first_value_is_found_without_blanks() -> None:
    raw = [(b"host", b"a.example"), (b"prefer", b" \twait=5 "), (b"prefer", b"wait=9")]
    assert header_of(Headers(raw=raw), b"prefer") == "wait=5"
    assert header_of(Headers(raw=raw), b"expect") == ""


def test_letter_that_ends_like_a_blank_is_kept() -> None:
    """The last byte of these letters in UTF-8 is a blank in Latin-1."""
    keys = {
        header_of(Headers(raw=[(b"idempotency-key", key.encode())]), b"idempotency-key")
        for key in ("order-\u00e0", "order-\u00c5", "order-\u00c3")
    }
    assert len(keys) == 3
