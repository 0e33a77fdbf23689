"""Records of Kafka, flat or with an envelope, become messages of the contract."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.messages.media import SendAudio, SendDocument, SendImage
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import InvalidRequest
from gateway.parsing.records import ReadRecord, Record

PHONE = "5511999999999"
FLAT = {"userId": "acme", "instanceName": "Sales", "phoneNumber": PHONE, "message": "Hi"}
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
GROUP = "120363019502650977"


def read(**fields: Any) -> Record:
    return ReadRecord(json.dumps(fields).encode()).run()


def message_of(**fields: Any) -> OutgoingMessage:
    message = read(**fields).message
    assert isinstance(message, OutgoingMessage), message
    return message


def test_flat_record_is_a_text_of_the_named_instance() -> None:
    record = read(**FLAT, timestamp="2026-01-31T12:00:00Z")

    assert record.message == SendText(phone=PHONE, message="Hi")
    assert (record.address.instance, record.address.by_name) == ("Sales", True)
    assert (record.address.user, record.made_at, record.own_id) == ("acme", NOON, "")


@pytest.mark.parametrize(
    "written", ["2026-01-31T12:00:00Z", "2026-01-31T09:00:00-03:00", 1769860800, 1769860800000]
)
def test_time_of_flat_record_is_iso_8601_or_since_1970(written: object) -> None:
    record = read(**FLAT, scheduledFor=written, timestamp=written, scheduleId=7)

    assert isinstance(record.message, SendText)
    assert record.message.scheduled_for == record.made_at == NOON
    assert record.own_id == "scheduleId:7"


@pytest.mark.parametrize("recipient", [{"remoteJid": f"{GROUP}@g.us"}, {"groupId": GROUP}])
def test_messaging_record_names_a_group(recipient: dict[str, str]) -> None:
    fields = {"channel": "WHATSAPP", "channelInstanceId": "one", "message": "Hi", **recipient}

    assert message_of(**fields) == SendText(phone=f"{GROUP}-group", message="Hi")


@pytest.mark.parametrize(
    ("media_type", "text", "expected"),
    [
        ("image", "Logo", SendImage(phone=PHONE, image="https://a.b/c", caption="Logo")),
        ("image/png", None, SendImage(phone=PHONE, image="https://a.b/c")),
        ("audio", "", SendAudio(phone=PHONE, audio="https://a.b/c")),
        (
            "application/pdf",
            "Bill",
            SendDocument(phone=PHONE, document="https://a.b/c", caption="Bill"),
        ),
    ],
)
def test_media_url_becomes_a_file(
    media_type: str, text: str | None, expected: OutgoingMessage
) -> None:
    fields = {"phoneNumber": PHONE, "mediaUrl": "https://a.b/c", "mediaType": media_type}

    assert message_of(**fields, message=text) == expected


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"phoneNumber": None}, "phoneNumber: is required, or remoteJid or groupId"),
        ({"groupId": GROUP}, "groupId: must not be given together with phoneNumber"),
        ({"phoneNumber": "?"}, "phoneNumber: must be a phone, such as 5511999999999"),
        ({"phoneNumber": None, "remoteJid": "?"}, "remoteJid: must be a phone, such as "),
        ({"message": None}, "message: is required"),
        ({"trackId": "x" * 257}, "trackId: must be at most 256 characters, not 257"),
        ({"channel": "sms"}, "channel: must be whatsapp"),
        ({"mediaUrl": "https://a.b/c"}, "mediaType: must be one of image, video, audio, "),
        (
            {"mediaUrl": "https://a.b/c", "mediaType": "audio"},
            "message: must be empty with audio, which has no caption",
        ),
        ({"scheduledFor": "tomorrow"}, "scheduledFor: must be a time with an offset, such as "),
        ({"scheduledFor": "2026-01-31T12:00:00"}, "scheduledFor: must be a time with an offset"),
    ],
)
def test_wrong_flat_record_says_what_is_wrong(fields: dict[str, Any], error: str) -> None:
    message = read(**{**FLAT, **fields}).message

    assert isinstance(message, InvalidRequest)
    assert str(message).startswith(error)


def test_wrong_timestamp_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="timestamp: must be a time with an offset"):
        read(**FLAT, timestamp="yesterday")


def test_digest_depends_on_the_message_alone() -> None:
    digest = read(**FLAT).digest

    assert read(**FLAT, timestamp=1769860800, id="1").digest == digest
    assert read(**dict(reversed(FLAT.items()))).digest == digest
    assert read(**{**FLAT, "message": "Ho"}).digest != digest


def test_envelope_may_name_its_instance() -> None:
    body = {"phone": PHONE, "message": "Hi"}
    record = read(instanceName="Sales", type="send-text", message=body, scheduleId="s")

    assert record.message == SendText(phone=PHONE, message="Hi")
    assert (record.address.instance, record.address.by_name) == ("Sales", True)
    assert (record.own_id, record.is_flat) == ("scheduleId:s", False)
