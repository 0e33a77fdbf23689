"""What may be written into a send, and what is made of it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from gateway.contract.send import OutgoingMessage, Priority, Queued
from gateway.contract.zapi.messages.text import SendText, TextMessage

PHONE = "5511999999999"
GROUP = "120363019502650977-group"


def sent(**fields: object) -> SendText:
    return SendText.model_validate({"phone": PHONE, "message": "Hello", **fields})


@pytest.mark.parametrize(
    ("written", "priority"),
    [
        ("high", Priority.HIGH),
        ("normal", Priority.NORMAL),
        ("bulk", Priority.BULK),
        ("HIGH", Priority.HIGH),
        ("Bulk", Priority.BULK),
        (None, Priority.NORMAL),
        (0, Priority.HIGH),
        (1, Priority.NORMAL),
        (2, Priority.BULK),
    ],
)
def test_priority_is_read_by_name_or_stored_number(written: object, priority: Priority) -> None:
    assert sent(priority=written).priority is priority


@pytest.mark.parametrize("written", ["urgent", "", "0", 3, -1, True, False, 1.0, [], {}])
def test_unknown_priority_is_refused(written: object) -> None:
    with pytest.raises(ValidationError, match="must be high, normal or bulk"):
        sent(priority=written)


def test_message_without_a_priority_is_normal() -> None:
    assert sent().priority is Priority.NORMAL


def test_time_with_an_offset_is_that_moment() -> None:
    message = sent(scheduledFor="2030-01-31T12:00:00-03:00")

    assert message.scheduled_for == datetime(2030, 1, 31, 15, tzinfo=UTC)
    assert message.scheduled_for is not None
    assert message.scheduled_for.utcoffset() == timedelta(hours=-3)
    assert message.scheduled_for == datetime(2030, 1, 31, 12, tzinfo=timezone(timedelta(hours=-3)))


@pytest.mark.parametrize("written", ["2030-01-31T12:00:00", "2030-01-31", "tomorrow", "", []])
def test_time_without_an_offset_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        sent(scheduledFor=written)


def test_plain_text_refers_to_no_message() -> None:
    message = sent()

    assert message.referred_ids() == ()
    assert message.readable_text() == "Hello"
    assert SendText.kind() == "send-text"
    assert SendText.path == "/send-text"


def test_reply_refers_to_the_message_it_answers() -> None:
    message = sent(messageId="3EB0AB", privateAnswer="true")

    assert message.referred_ids() == ("3EB0AB",)
    assert message.private_answer is True


def test_edit_refers_to_the_edited_message() -> None:
    assert sent(editMessageId="3EB0CD").referred_ids() == ("3EB0CD",)


def test_reply_that_edits_refers_to_both_messages() -> None:
    message = sent(messageId="3EB0AB", editMessageId="3EB0CD")

    assert message.referred_ids() == ("3EB0AB", "3EB0CD")


def test_empty_message_id_refers_to_no_message() -> None:
    assert sent(messageId="", editMessageId="").referred_ids() == ()


def test_mentions_are_read_as_phones() -> None:
    message = sent(phone=GROUP, mentioned=["+55 11 99999-9999", 5511888888888])

    assert message.phone == GROUP
    assert message.mentioned == (PHONE, "5511888888888")


def test_wrong_mention_is_an_invalid_phone() -> None:
    with pytest.raises(ValidationError, match="Invalid phone"):
        sent(mentioned=[PHONE, "1234"])


def test_community_group_is_mentioned_with_its_subject() -> None:
    message = sent(groupMentioned=[{"phone": "120363019502650977@g.us", "subject": "Team"}])

    assert [(group.phone, group.subject) for group in message.group_mentioned] == [(GROUP, "Team")]


@pytest.mark.parametrize("line_break", ["%0a", "%0A"])
def test_encoded_line_break_is_decoded(line_break: str) -> None:
    assert sent(message=f"one{line_break}two").message == "one\ntwo"


def test_other_percent_signs_stay() -> None:
    assert sent(message="100% sure, %20 too").message == "100% sure, %20 too"


def test_text_has_at_most_65536_characters() -> None:
    assert len(sent(message="\U0001f600" * 65_536).message) == 65_536
    with pytest.raises(ValidationError, match="65536"):
        sent(message="x" * 65_537)


def test_empty_text_is_refused() -> None:
    with pytest.raises(ValidationError):
        sent(message="")


def test_message_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        sent().message = "else"  # type: ignore[misc]


def test_base_class_has_no_path() -> None:
    assert OutgoingMessage.path is None
    assert TextMessage.path is None


def test_answer_to_a_message_is_camel_case() -> None:
    answer = Queued(zaap_id="Z", message_id="M", id="M")

    assert answer.model_dump(by_alias=True, exclude_none=True) == {
        "zaapId": "Z",
        "messageId": "M",
        "id": "M",
    }
