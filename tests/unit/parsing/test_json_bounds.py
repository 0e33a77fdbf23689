"""JSON becomes a value, or one sentence about the bound that it exceeds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest, TooManyValues
from gateway.parsing.json_bounds import (
    MAX_DEPTH,
    MAX_DIRECT_BYTES,
    MAX_DIRECT_VALUES,
    MAX_VALUES,
    may_parse_directly,
    parse_json,
)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_json_in_another_encoding_is_refused_with_the_right_one(encoding: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_json('{"message": "S\xe3o Paulo"}'.encode(encoding))
    assert str(caught.value) == "The body is not UTF-8: send it in that encoding"


@pytest.mark.parametrize(
    "written",
    [
        b"{",
        b"{'a': 1}",
        b'{"a": 1} 2',
        b'{"a": NaN}',
        b'{"a": "\x00"}',
    ],
)
def test_parse_json_broken_json_is_refused(written: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^The body is not valid JSON: .+"):
        parse_json(written)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        (b"\xff\xfe", "is not UTF-8: send it in that encoding"),
        (b'{"a": "ol\xe1"}', "is not UTF-8: send it in that encoding"),
        (b"\x1f\x8b\x08\x00", "is compressed: send it as it is"),
    ],
)
def test_parse_json_of_another_form_names_it(written: bytes, fault: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^The body {fault}$"):
        parse_json(written)


@pytest.mark.parametrize(
    "written",
    [
        b'{"message": "a\\u0000b"}',
        b'{"a\\u0000": 1}',
        b'{"a": [{"b": ["\\u0000"]}]}',
        b'"\\u0000"',
        b'{"a": "\\\\u0000", "b": "\\u0000"}',
    ],
)
def test_parse_json_with_nul_is_refused(written: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^The body holds a NUL character: remove it$"):
        parse_json(written)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_parse_json_finds_nul_at_any_depth(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    written = opening * 50 + b'"\\u0000"' + closing * 50

    with pytest.raises(InvalidRequest, match="NUL"):
        parse_json(written)


def test_parse_json_accepts_escaped_backslash_before_u0000() -> None:
    parsed = parse_json(b'{"message": "\\\\u0000"}')

    assert parsed == {"message": "\\u0000"}


def test_parse_json_joins_surrogate_pair() -> None:
    parsed = parse_json(b'{"message": "\\ud83d\\ude00"}')

    assert parsed == {"message": "\U0001f600"}


@pytest.mark.parametrize("raw", [b"", b" \r\n\t"])
def test_parse_json_of_blanks_is_an_empty_object(raw: bytes) -> None:
    assert parse_json(raw) == {}


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1_000, 200_000])
def test_parse_json_too_deep_is_refused(opening: bytes, closing: bytes, depth: int) -> None:
    with pytest.raises(InvalidRequest, match="more than 64 deep: send it flatter"):
        parse_json(opening * depth + b"1" + closing * depth)


def test_parse_json_of_the_greatest_depth_is_accepted() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH)


@pytest.mark.parametrize("value", ["0", "[]", "{}", '""', '{"a":1}'])
def test_parse_json_of_too_many_values_is_refused(value: str) -> None:
    written = f'{{"a":[{",".join([value] * (MAX_VALUES + 1))}]}}'

    with pytest.raises(TooManyValues, match="more than 60000 values: send it in parts"):
        parse_json(written.encode())


def test_parse_json_counts_no_commas_in_texts() -> None:
    text = ",[{" * MAX_VALUES

    assert parse_json(json.dumps({"a": text}).encode()) == {"a": text}


def test_parse_json_counts_values_and_no_keys() -> None:
    body = {str(number): number for number in range(MAX_VALUES - 1)}

    assert parse_json(json.dumps(body).encode()) == body


@pytest.mark.parametrize(
    ("raw", "may"),
    [
        (b'{"a":1}', True),
        (b"[" + b"1," * (MAX_DIRECT_VALUES - 2) + b"1]", True),
        (b"[" + b"1," * MAX_DIRECT_VALUES + b"1]", False),
        (b"[" * (MAX_DIRECT_VALUES + 1), False),
        (b'{"a":' * (MAX_DIRECT_VALUES + 1), False),
        (b'"' + b"x" * MAX_DIRECT_BYTES + b'"', False),
    ],
)
def test_may_parse_directly_counts_values_and_bytes(raw: bytes, *, may: bool) -> None:
    assert may_parse_directly(raw) is may


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb'"ol\u00e1 \ud83d"', "ol\u00e1 \ufffd"),
        (rb'"\ude00 a"', "\ufffd a"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
        (rb'"\\ud83d"', "\\ud83d"),
        (rb'"\\\ud83d"', "\\\ufffd"),
        (rb'"\uD83D\uDE00\uDE00"', "\U0001f600\ufffd"),
    ],
)
def test_parse_json_reads_half_an_emoji_as_a_replacement(written: bytes, read: str) -> None:
    assert parse_json(written) == read


@given(st.text(st.characters(codec=None), max_size=20))
def test_parse_json_reads_whatever_javascript_writes(text: str) -> None:
    """JSON.stringify escapes halves of emojis, and so does Python."""
    read = parse_json(json.dumps({"text": text.replace("\0", "")}).encode())["text"]

    assert read == text.replace("\0", "").encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    )


def test_parse_json_ignores_a_byte_order_mark() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert parse_json(b"\xef\xbb\xbf") == {}
