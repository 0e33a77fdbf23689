"""Files in a JSON body are decoded to disk while it arrives, and the rest stays small."""

import asyncio
import base64
import json
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api import body_spooling
from gateway.api.body_spooling import BodySpooler
from gateway.errors import BodyTooLarge, InvalidRequest, TooManyValues
from gateway.file_work import FileWork
from gateway.media.spooling import BadFile, Spooled
from gateway.parsing.json_bounds import MAX_VALUES
from gateway.parsing.tasks import with_files_restored


@pytest.fixture
def short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_spooling, "MAX_TEXT_BYTES", 64)


def spooler(folder: Path, *, limit_bytes: int = 1_000_000) -> BodySpooler:
    return BodySpooler(folder, FileWork(), bytes, limit_bytes=limit_bytes)


def fed(
    folder: Path, body: bytes, *, piece_bytes: int, limit_bytes: int = 1_000_000
) -> BodySpooler:
    made = spooler(folder, limit_bytes=limit_bytes)
    for at in range(0, len(body), piece_bytes):
        made.feed(body[at : at + piece_bytes])
    return made


@pytest.mark.usefixtures("short_texts")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    content=st.binary(min_size=60, max_size=300),
    text=st.text(max_size=5),
    escape=st.sampled_from([("/", "\\/"), ("+", "\\u002B"), ("A", "\\u0041"), ("=", "=")]),
    piece_bytes=st.integers(1, 50),
)
def test_spooler_decodes_file_whatever_pieces_and_escapes(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    text: str,
    escape: tuple[str, str],
    piece_bytes: int,
) -> None:
    written = base64.b64encode(content).decode().replace(*escape)
    body = f'{{"a":{json.dumps(text)},"image":"{written}","n":[1,"x\\"y"]}}'.encode()

    made = fed(tmp_path_factory.mktemp("spooled"), body, piece_bytes=piece_bytes)

    parsed = orjson.loads(made.finish())
    assert (parsed["a"], parsed["n"]) == (text, [1, 'x"y'])
    file = made.files[parsed["image"]]
    assert isinstance(file, Spooled)
    assert file.path.read_bytes() == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    value=st.recursive(
        st.text() | st.integers(-9, 9) | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    plain=st.booleans(),
    piece_bytes=st.integers(1, 20),
)
def test_spooler_leaves_body_without_files_unchanged(
    tmp_path: Path, value: object, piece_bytes: int, *, plain: bool
) -> None:
    body = json.dumps(value, ensure_ascii=plain).encode()

    made = fed(tmp_path, body, piece_bytes=piece_bytes)

    assert made.finish() == body
    assert not made.files


@pytest.mark.usefixtures("short_texts")
def test_spooler_stores_the_error_of_an_unreadable_file(tmp_path: Path) -> None:
    made = fed(
        tmp_path,
        b'{"x":"' + b"not base64, but a text" * 9 + b'","y":"' + b"QUJD" * 20 + b'"}',
        piece_bytes=7,
    )

    wrong, right = made.files.values()

    assert isinstance(wrong, BadFile)
    assert isinstance(right, Spooled)
    assert made.has_placeholder_in(orjson.loads(made.finish())["x"])


@pytest.mark.usefixtures("short_texts")
@pytest.mark.parametrize(
    "body", [b'{"x":"' + b"QUJD" * 20, b'{"x":"' + b"QUJD" * 20 + b"\\", b'"\\']
)
def test_spooler_incomplete_body_is_not_json(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(fed(tmp_path, body, piece_bytes=11).finish())


@pytest.mark.usefixtures("short_texts")
def test_fingerprint_is_equal_only_for_equal_files(tmp_path: Path) -> None:
    def fingerprint(name: str, content: bytes) -> bytes:
        folder = tmp_path / name
        folder.mkdir()
        made = BodySpooler(
            folder, FileWork(), lambda count: name.encode() * count, limit_bytes=1_000_000
        )
        made.feed(b'{"x":"' + base64.b64encode(content) + b'"}')
        return made.fingerprint()

    assert fingerprint("a", b"1" * 90) == fingerprint("b", b"1" * 90)
    assert fingerprint("c", b"1" * 90) != fingerprint("d", b"2" * 90)


# --- What remains beside the files --------------------------------------------------------------


@pytest.mark.parametrize(
    "unit",
    [b"1       ,", b'"' + b"a" * 999 + b' b",', b"   ", b'"\\u0041\\u0041",'],
)
def test_spooler_large_body_without_files_is_refused(tmp_path: Path, unit: bytes) -> None:
    made, fed_bytes = spooler(tmp_path, limit_bytes=100_000), 0
    body = b'{"image":"x","a":[' + unit * (10_000_000 // len(unit))

    def feed_all() -> None:
        nonlocal fed_bytes
        for at in range(0, len(body), 8_192):
            fed_bytes += 8_192
            made.feed(body[at : at + 8_192])

    with pytest.raises(BodyTooLarge, match=r"100000 bytes.*GATEWAY_MAX_BODY_BYTES"):
        feed_all()

    assert fed_bytes < 300_000
    assert not made.files


def test_spooler_does_not_count_files(tmp_path: Path) -> None:
    files = [base64.b64encode(bytes([n]) * 750_000) for n in range(5)]
    body = b'{"a":[' + b",".join(b'"' + file + b'"' for file in files) + b"]}"

    made = fed(tmp_path, body, piece_bytes=65_536, limit_bytes=10_000)

    assert [f.size_bytes for f in made.files.values() if isinstance(f, Spooled)] == [750_000] * 5


@pytest.mark.parametrize("header", [b"", b"data:image\\/png;base64,"])
def test_spooler_above_half_of_limit_spools_small_files(tmp_path: Path, header: bytes) -> None:
    """A carousel of ten small pictures."""
    small = [header + base64.b64encode(bytes([255, n]) * 50_000) for n in range(10)]
    written = b",".join(b'"' + each.replace(b"/", b"\\/") + b'"' for each in small)
    text = "a text of words, " * 1_000

    made = fed(
        tmp_path,
        b'{"a":[' + written + b'],"text":' + json.dumps(text).encode() + b"}",
        piece_bytes=65_536,
        limit_bytes=1_048_576,
    )

    parsed = orjson.loads(made.finish())
    assert parsed["text"] == text
    assert 0 < len(made.files) < 10
    assert all(isinstance(file, Spooled) for file in made.files.values())


def test_with_files_restored_holds_base64(tmp_path: Path) -> None:
    content = b"\x89PNG" * 100_000
    made = fed(
        tmp_path,
        b'{"value":"data:image/png;base64,' + base64.b64encode(content) + b'","id":"1","n":1}',
        piece_bytes=65_536,
    )

    body = with_files_restored(orjson.loads(made.finish()), made.sources)

    assert base64.b64decode(body["value"]) == content
    assert (body["id"], body["n"]) == ("1", 1)
    assert with_files_restored([1], {}) == [1]


def test_with_files_restored_names_field_that_is_not_base64(tmp_path: Path) -> None:
    made = fed(tmp_path, b'{"value":"' + b"not base64! " * 30_000 + b'"}', piece_bytes=65_536)

    with pytest.raises(InvalidRequest, match="value: is not valid base64"):
        with_files_restored(orjson.loads(made.finish()), made.sources)


def test_spooler_refuses_too_many_values_while_they_come(tmp_path: Path) -> None:
    made = spooler(tmp_path)
    made.feed(b'{"a":["' + b"," * 2 * MAX_VALUES + b'",')  # commas in a text are no values
    made.feed(b"1," * (MAX_VALUES - 3))

    with pytest.raises(TooManyValues, match="more than 60000 values"):
        made.feed(b"1,1,1,")


async def test_spooler_serves_others_between_parts_of_many_strings(tmp_path: Path) -> None:
    """Each string costs time, so that a piece of many is read in many parts."""
    turns = 0
    done = asyncio.Event()

    async def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(count())
        await spooler(tmp_path).feed_in_turns(b'"",' * 20_000)
        done.set()

    assert turns >= 20_000 * 2 // 500 - 1
