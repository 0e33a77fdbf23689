"""How forgiving we are in reading phones, delays, nulls and unknown fields."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from gateway.contract.spellings import is_group, parse_chat
from gateway.contract.wire import Wire
from gateway.contract.zapi.messages.text import SendText

PHONE = "5511999999999"


@pytest.mark.parametrize(
    ("written", "chat"),
    [
        (PHONE, PHONE),
        (5511999999999, PHONE),
        (f"  {PHONE}  ", PHONE),
        ("+55 (11) 99999-9999", PHONE),
        ("+55-11-99999-9999", PHONE),
        (f"{PHONE}@c.us", PHONE),
        (f"{PHONE}@s.whatsapp.net", PHONE),
        ("+55 11 99999-9999@c.us", PHONE),
        ("12345678", "12345678"),
        ("123456789012345", "123456789012345"),
        # Groups, new and old; an old id is known by its dash, before dashes are removed.
        ("120363019502650977-group", "120363019502650977-group"),
        ("120363019502650977@g.us", "120363019502650977-group"),
        ("5511999999999-1623281429", "5511999999999-1623281429"),
        ("5511999999999-1623281429@g.us", "5511999999999-1623281429"),
        ("55119999-99999999", "55119999-99999999"),
        # One digit short on either side: a mask, not a group.
        ("5511999-99999999", "551199999999999"),
        ("55119999-9999999", "551199999999999"),
        ("120363166555745933@newsletter", "120363166555745933@newsletter"),
        ("81896604192873@lid", "81896604192873@lid"),
        ("1700000000-broadcast", "1700000000-broadcast"),
        ("status@broadcast", "status@broadcast"),
        # As people and programs copy them.
        (f"{PHONE[:4]}\u00a0{PHONE[4:]}", PHONE),
        (f"+55\u201111\u2011{PHONE[4:]}", PHONE),
        (f"\u202a+{PHONE}\u202c", PHONE),
        (f"\ufeff{PHONE}", PHONE),
        (f"5511\u200b{PHONE[4:]}", PHONE),
        (f"55\t11\t{PHONE[4:]}", PHONE),
        ("55.11.99999.9999", PHONE),
        (5511999999999.0, PHONE),
        ("5511999999999.0", PHONE),
        ("5.511999999999E+12", PHONE),
        (f"{PHONE}:12@s.whatsapp.net", PHONE),
        (f"{PHONE}.0:12@s.whatsapp.net", PHONE),
        (f"{PHONE}@S.WHATSAPP.NET", PHONE),
        (f"{PHONE}@C.US", PHONE),
        ("81896604192873:3@lid", "81896604192873@lid"),
        ("81896604192873@LID", "81896604192873@lid"),
        (f"tel:+{PHONE}", PHONE),
        (f"whatsapp:+{PHONE}", PHONE),
        (f"https://wa.me/{PHONE}?text=oi", PHONE),
        (f"00{PHONE}", PHONE),
        ("+44 (0)20 7946 0958", "442079460958"),
        ("120363019502650977", "120363019502650977-group"),
        ("1234567890123456", "1234567890123456-group"),
        ("120363019502650977@G.US", "120363019502650977-group"),
        ("5511999999999-1623281429-group", "5511999999999-1623281429"),
        ("1609459200@broadcast", "1609459200-broadcast"),
    ],
)
def test_chat_is_read_in_each_spelling_of_clients(written: object, chat: str) -> None:
    assert parse_chat(written) == chat


@pytest.mark.parametrize(
    "written",
    [
        "",
        "1234567",
        "letters",
        "05511999999999",
        "0005511999999999",
        "1.5",
        5511999999999.5,
        "5511999999999@s.whatsapp.net.example.com",
        "5511999999999x",
        "5511999999999@example.com",
        "@g.us",
        "-group",
        "1234-group",
        "group",
        "someone@lid",
        "broadcast",
        "status@broadcast ok",
        "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668-\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668-group",
        "5511\u00b2999999999",
        "5511999999999\x00",
        "5511999999999\n5511888888888",
        None,
        True,
        ["5511999999999"],
        {"phone": "5511999999999"},
    ],
)
def test_text_that_names_no_chat_is_an_invalid_phone(written: object) -> None:
    with pytest.raises(PydanticCustomError, match="Invalid phone") as caught:
        parse_chat(written)

    assert caught.value.type == "invalid_phone"


@pytest.mark.parametrize(
    "chat",
    [
        PHONE,
        "120363019502650977-group",
        "5511999999999-1623281429",
        "120363166555745933@newsletter",
        "81896604192873@lid",
        "1700000000-broadcast",
        "status@broadcast",
    ],
)
def test_parsed_chat_parses_to_itself(chat: str) -> None:
    assert parse_chat(chat) == chat


def test_only_both_kinds_of_group_ids_are_groups() -> None:
    assert is_group("120363019502650977-group")
    assert is_group("5511999999999-1623281429")
    assert not is_group(PHONE)
    assert not is_group("1700000000-broadcast")
    assert not is_group("120363166555745933@newsletter")


def sent(**fields: object) -> SendText:
    return SendText.model_validate({"phone": PHONE, "message": "Hello", **fields})


@pytest.mark.parametrize("field", ["delayMessage", "delayTyping"])
@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (1, 1),
        (15, 15),
        (16, 15),
        (10**30, 15),
        ("7", 7),
        (" 7 ", 7),
        ("7.9", 7),
        (7.9, 7),
        (0, None),
        ("0", None),
        (0.5, None),
        (-1, None),
        (-3.5, None),
        (None, None),
    ],
)
def test_delay_is_1_to_15_whole_seconds(field: str, written: object, seconds: int | None) -> None:
    message = sent(**{field: written})

    delays = {"delayMessage": message.delay_message, "delayTyping": message.delay_typing}
    assert delays[field] == seconds
    assert sum(delay is not None for delay in delays.values()) == (seconds is not None)


@pytest.mark.parametrize(
    "written",
    ["soon", "", "1s", True, False, [5], {"seconds": 5}, float("nan"), float("inf"), 10**400],
)
def test_delay_that_is_not_a_number_is_refused(written: object) -> None:
    with pytest.raises(ValidationError, match="must be a number of seconds"):
        sent(delayMessage=written)


def test_null_is_the_same_as_absent() -> None:
    nulls: dict[str, None] = dict.fromkeys(
        ("delayMessage", "priority", "privateAnswer", "mentioned", "messageId", "scheduledFor")
    )

    assert sent(**nulls) == sent()


def test_null_in_a_required_field_is_missing() -> None:
    with pytest.raises(ValidationError) as caught:
        SendText.model_validate({"phone": PHONE, "message": None})

    assert [(error["loc"], error["type"]) for error in caught.value.errors()] == [
        (("message",), "missing")
    ]


def test_unknown_field_is_ignored() -> None:
    message = sent(colour="blue", isGroup=False)

    assert message == sent()
    assert "colour" not in message.model_dump()


def test_number_is_read_as_text_in_a_text_field() -> None:
    message = SendText.model_validate({"phone": 5511999999999, "message": 12, "messageId": 34})

    assert (message.phone, message.message, message.message_id) == (PHONE, "12", "34")


@pytest.mark.parametrize(
    ("written", "meant"), [(True, True), ("true", True), ("false", False), (1, True), ("0", False)]
)
def test_boolean_is_read_from_text_and_number(written: object, *, meant: bool) -> None:
    assert sent(privateAnswer=written).private_answer is meant


def test_validation_error_does_not_repeat_its_input() -> None:
    with pytest.raises(ValidationError) as caught:
        sent(message=["a secret text"], phone="a secret phone")

    assert "secret" not in str(caught.value)


class Answer(Wire):
    """Something we answer with."""

    two_words: str | None
    other: int = 1


def test_answer_is_camel_case_with_nulls() -> None:
    assert Answer(two_words=None).model_dump(by_alias=True) == {"twoWords": None, "other": 1}


def test_both_spellings_are_read() -> None:
    assert Answer.model_validate({"two_words": "a"}) == Answer.model_validate({"twoWords": "a"})


_UNSEEN = st.sampled_from(
    ["\u00a0", "\u2009", "\u200b", "\u200e", "\u202a", "\u2066", "\ufeff", "\t"]
)
_MARKS = st.sampled_from(["+", "-", "\u2010", "\u2011", "\u2013", ".", "(", ")", " ", "/"])


@given(st.from_regex(r"[1-9][0-9]{9,13}", fullmatch=True), st.data())
def test_marks_between_digits_change_no_phone(digits: str, data: st.DataObject) -> None:
    gaps = st.lists(st.one_of(st.just(""), _UNSEEN, _MARKS), min_size=14, max_size=14)
    drawn = data.draw(gaps)
    written = "".join(mark + digit for mark, digit in zip(drawn, digits, strict=False))
    assume("(0)" not in written)
    assume("." not in written or not digits.endswith("0"))  # 10.0 is a float

    try:
        read = parse_chat(written)
    except PydanticCustomError:
        read = "refused"

    # Eight digits, one dash and eight more are the id of an old group.
    assert read == digits or is_group(read)
