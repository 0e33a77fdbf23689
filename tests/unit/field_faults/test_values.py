"""Values as people and programs write them are read as they are meant: K05 to K10, K14 to K20.

Each test makes inputs of one kind of `tests/README.md`.
"""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.contract.spellings import parse_chat
from gateway.contract.urls import written_url
from gateway.contract.zapi.contacts import AddContacts, CheckPhones
from gateway.contract.zapi.messages.interactive import SendButtonActions
from gateway.contract.zapi.messages.media import SendDocument, SendImage
from gateway.contract.zapi.messages.places_and_people import SendContacts
from gateway.contract.zapi.messages.text import SendLink, SendText
from gateway.contract.zapi.webhooks import SetConnectedWebhook
from gateway.errors import InvalidRequest
from gateway.parsing.json_bounds import parse_json

PHONE = "5511999999999"
TEXT: dict[str, Any] = {"phone": PHONE, "message": "a"}
FEW = settings(max_examples=40, deadline=None)
PHONES = st.from_regex(r"[1-9][0-9]{10,12}", fullmatch=True)
UNSEEN = st.text("\u00a0\u200b\u200e\u202a\u202c\u2060\u2066\u2069\ufeff\t \r\n", max_size=3)

# K05: a phone or a chat as people and programs copy it.


def masked(digits: str) -> str:
    return f"+{digits[:2]} ({digits[2:4]}) {digits[4:-4]}\u2011{digits[-4:]}"


PHONE_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    masked,
    lambda n: f"+{n}",
    lambda n: f"%2B{n}",
    lambda n: f"{n}@c.us",
    lambda n: f"{n}@S.WhatsApp.net",
    lambda n: f"{n}:12@s.whatsapp.net",
    lambda n: f"{n}.0:3@s.whatsapp.net",
    lambda n: f"{n}_1@c.us",
    lambda n: f"{n}.0",
    lambda n: f"{n},0",
    lambda n: f"{n[0]}.{n[1:]}E{len(n) - 1}",
    lambda n: f"tel:+{n}",
    lambda n: f"TEL:+{n};ext=5",
    lambda n: f"whatsapp:+{n}",
    lambda n: f"sms:{n}?body=oi",
    lambda n: f"https://wa.me/{n}?text=oi",
    lambda n: f"wa.me/+{n}",
    lambda n: f"https://api.whatsapp.com/send?phone={n}&text=a",
    lambda n: f"https://web.whatsapp.com/send/?text=a&phone=%2B{n}",
    lambda n: f"whatsapp://send?phone={n}",
    lambda n: f"'{n}",
    lambda n: f'"{n}"',
    lambda n: f"<{n}>",
    lambda n: f"@{n}",
    lambda n: ".".join((n[:2], n[2:4], n[4:])),
    lambda n: "".join(chr(ord(digit) + 0xFEE0) for digit in n),  # full width, as in Japan
)


@FEW
@given(PHONES, st.sampled_from(PHONE_SPELLINGS), UNSEEN, UNSEEN)
def test_phone_is_read_in_each_spelling(
    digits: str, spelled: Callable[[str], str], before: str, after: str
) -> None:
    assert parse_chat(before + spelled(digits) + after) == digits


CHAT_SPELLINGS = (
    ("{}@g.us", "{}-group"),
    ("{}@G.US", "{}-group"),
    ("{}", "{}-group"),
    ("{} -group", "{}-group"),
    ("{}@g.us-group", "{}-group"),
    ("{}:3@lid", "{}@lid"),
    ("{}@LID", "{}@lid"),
    ("{}@broadcast", "{}-broadcast"),
    ("{}@Newsletter", "{}@newsletter"),
    ("{}-newsletter", "{}@newsletter"),
)


@FEW
@given(st.from_regex(r"12036[0-9]{13}", fullmatch=True), st.sampled_from(CHAT_SPELLINGS), UNSEEN)
def test_chat_is_read_in_each_spelling(number: str, forms: tuple[str, str], around: str) -> None:
    written, chat = forms

    assert parse_chat(around + written.format(number) + around) == chat.format(number)


@FEW
@given(PHONES, PHONES, st.sampled_from([",", ";", " / ", " e ", "\n"]))
def test_two_phones_are_not_read_as_one(first: str, second: str, between: str) -> None:
    with pytest.raises(PydanticCustomError):
        parse_chat(first + between + second)


@FEW
@given(st.integers(0, 99), st.integers(9, 14))
def test_phone_rounded_by_a_spreadsheet_is_refused(digits: int, exponent: int) -> None:
    with pytest.raises(PydanticCustomError):
        parse_chat(f"5.{digits:02}E+{exponent}")


# K06: a number that cannot exist.


@FEW
@given(PHONES, st.sampled_from(["00", "+00", "00 ", "(00)", "tel:00"]))
def test_international_prefix_is_no_part_of_a_phone(digits: str, prefix: str) -> None:
    assert parse_chat(prefix + digits) == digits


@FEW
@given(PHONES, st.sampled_from(["0", "+0", "000", "0000", "tel:0"]))
def test_phone_that_begins_with_zero_is_refused(digits: str, prefix: str) -> None:
    with pytest.raises(PydanticCustomError):
        parse_chat(prefix + digits)


# K07: an empty text in an optional field.

OPERATIONS = sorted(catalogue().operations.values(), key=lambda each: each.__name__)
NAMED_EMPTY = frozenset({"ClearQueue"})  # an empty filter would remove all that waits


def least_of(operation: type[Operation[Any]]) -> dict[str, Any]:
    return dict(operation.example_minimal or operation.example)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__)
def test_every_optional_field_of_an_operation_may_be_empty(
    operation: type[Operation[Any]],
) -> None:
    least = least_of(operation)
    for name, declared in operation.model_fields.items():
        alias = declared.alias or name
        if declared.is_required() or alias in least or operation.__name__ in NAMED_EMPTY:
            continue
        built = build(operation, {**least, alias: ""})
        assert getattr(built, name) in ("", declared.get_default(call_default_factory=True)), alias


# K08: what stands where there is no body.


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__)
def test_no_body_is_an_empty_one_of_every_operation(operation: type[Operation[Any]]) -> None:
    try:
        empty: object = build(operation, {})
    except InvalidRequest:
        empty = None

    bodies: tuple[object, ...] = ([], None, "")
    for body in bodies:
        if empty is not None:
            assert build(operation, body) == empty
            continue
        with pytest.raises(InvalidRequest):
            build(operation, body)


# K09: half an emoji; K10: a byte order mark.

HALVES = st.sampled_from(["\ud83d", "\ude00", "\udbff", "\udc00", "\ud83d\ude00"])
PIECES = st.lists(st.one_of(st.text(max_size=4), HALVES, st.just("\\")), max_size=6).map("".join)


@FEW
@given(PIECES, st.sampled_from(["as bytes", "as escapes"]))
def test_half_an_emoji_becomes_a_replacement_character(text: str, form: str) -> None:
    assume("\x00" not in text)
    written = json.dumps({"message": text}, ensure_ascii=form == "as escapes")
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    read = parse_json(written.encode("utf-8", "surrogatepass"))

    assert read["message"] == whole


@FEW
@given(st.lists(st.sampled_from([b"\xef\xbb\xbf", b" ", b"\r\n", b"\t"]), max_size=4))
def test_byte_order_marks_before_the_json_are_ignored(before: list[bytes]) -> None:
    assert parse_json(b"".join(before) + b'{"a": 1}') == {"a": 1}
    assert parse_json(b"".join(before)) == {}


@FEW
@given(st.text(min_size=1, max_size=20), st.sampled_from(["utf-16", "utf-16-be", "utf-32"]))
def test_body_of_another_encoding_is_named(text: str, encoding: str) -> None:
    written = orjson.dumps({"message": text}).decode().encode(encoding)

    with pytest.raises(InvalidRequest, match="is not UTF-8: send it in that encoding"):
        parse_json(written)


# K14: a URL with what was copied around it.

URLS = st.sampled_from(
    [
        ("https://example.com/a.png", "https://example.com/a.png"),
        ("https://example.com/?u=a b", "https://example.com/?u=a%20b"),
        ("http://example.com/caf\u00e9 1", "http://example.com/caf%C3%A9%201"),
        ("https://b\u00fccher.example/x?y=1#z", "https://xn--bcher-kva.example/x?y=1#z"),
    ]
)
AROUND = st.sampled_from([("", ""), ("<", ">"), ('"', '"'), ("'", "'"), ("\u201c", "\u201d")])


@FEW
@given(URLS, AROUND, UNSEEN, UNSEEN)
def test_url_is_read_without_what_was_copied_around_it(
    url: tuple[str, str], around: tuple[str, str], before: str, after: str
) -> None:
    written, read = url
    pasted = before + around[0] + before + written + after + around[1] + after
    button = {"type": "URL", "label": "x", "url": pasted}

    assert written_url(pasted) == read
    assert build(SendImage, {"phone": PHONE, "image": pasted}).image == read
    assert build(SetConnectedWebhook, {"value": pasted}).value == read
    assert (
        build(SendButtonActions, {**TEXT, "buttonActions": [button]}).button_actions[0].url == read
    )
    assert build(SendLink, {**TEXT, "linkUrl": pasted}).link_url == written


@FEW
@given(UNSEEN)
def test_webhook_of_blanks_is_none(blanks: str) -> None:
    assert build(SetConnectedWebhook, {"value": blanks}).value == ""


# K16: escaped line breaks.

BREAKS = st.sampled_from(["%0a", "%0A", "%0d%0a", "%0D%0A"]).map(lambda each: (each, "\n"))
WORDS = st.text("abc \u00e3\U0001f600", min_size=1, max_size=6).map(lambda each: (each, each))
LINKS = st.sampled_from(
    ["https://e.com/?q=a%0Ab", "http://e.com/a%0D%0Ab#c", "HTTPS://wa.me/55?text=a%0A%0Ab"]
).map(lambda each: (f" {each} ", f" {each} "))


@FEW
@given(st.lists(st.one_of(BREAKS, WORDS, LINKS), min_size=1))
def test_escaped_line_breaks_are_read_and_links_are_left_alone(
    parts: list[tuple[str, str]],
) -> None:
    written, read = ("".join(part) for part in zip(*parts, strict=True))

    assert build(SendText, {**TEXT, "message": written}).message == read


@FEW
@given(WORDS, st.sampled_from(["%0A", "%0D%0A", "%0d"]))
def test_escaped_line_break_ends_the_host_of_a_link(word: tuple[str, str], written: str) -> None:
    text = f"https://e.com{written}{word[0]}"

    assert build(SendText, {**TEXT, "message": text}).message == f"https://e.com\n{word[1]}"


# K17: one bad number among many.

BAD_PHONES = st.sampled_from(["abc", "05511999999999", "1", "55119999999990000000x", "5" * 40])
LISTS: tuple[tuple[type[BaseModel], Callable[[list[str]], dict[str, Any]], str], ...] = (
    (SendText, lambda phones: {**TEXT, "mentioned": phones}, "mentioned.{}"),
    (
        SendContacts,
        lambda phones: {
            "phone": PHONE,
            "contacts": [{"name": "A", "phones": phones}, {"name": "B", "phones": [PHONE]}],
        },
        "contacts.0.phones.{}",
    ),
    (
        AddContacts,
        lambda phones: {"contacts": [{"firstName": "A", "phone": phone} for phone in phones]},
        "contacts.{}.phone",
    ),
)


@FEW
@given(st.lists(PHONES, min_size=1, max_size=5), BAD_PHONES, st.sampled_from(LISTS), st.data())
def test_bad_number_of_a_list_is_named(
    phones: list[str], bad: str, declared: Any, data: st.DataObject
) -> None:
    command, body, place = declared
    at = data.draw(st.integers(0, len(phones)))
    phones.insert(at, bad)

    with pytest.raises(InvalidRequest) as caught:
        build(command, body(phones))

    assert str(caught.value).startswith(place.format(at) + ": must be a phone")


@FEW
@given(st.lists(st.one_of(PHONES, BAD_PHONES), min_size=1, max_size=8))
def test_batch_keeps_numbers_that_are_none(phones: list[str]) -> None:
    assert build(CheckPhones, {"phones": phones}).phones == tuple(phones)


# K20: an extension, and sentences without a pattern.

EXTENSIONS = st.from_regex(r"\.?[A-Za-z0-9_+-]{1,5}(\.[A-Za-z0-9_+-]{1,4}){0,2}", fullmatch=True)


@FEW
@given(EXTENSIONS, st.sampled_from(["", " ", "\n", "\t "]))
def test_every_usual_extension_is_read(extension: str, blank: str) -> None:
    fields = {"phone": PHONE, "document": "https://example.com/a"}
    path = {"extension": blank + extension + blank}

    assert build(SendDocument, fields, path=path).extension == extension


@FEW
@given(st.sampled_from(sorted(catalogue().sends.values(), key=lambda s: s.__name__)), st.data())
def test_no_sentence_holds_a_pattern_or_a_class(
    send: type[OutgoingMessage], data: st.DataObject
) -> None:
    names = [declared.alias or name for name, declared in send.model_fields.items()]
    wrong = st.sampled_from(["^", [], {}, [[]], -1, 1e30, True, "x" * 5_000, {"a": []}, [None]])
    body = {**send.example, data.draw(st.sampled_from(names)): data.draw(wrong)}

    sentence = ""
    try:
        build(send, body)
    except InvalidRequest as error:
        sentence = str(error)

    assert not any(word in sentence for word in ("^", "\\", "pattern", "String should", "Tuple"))
