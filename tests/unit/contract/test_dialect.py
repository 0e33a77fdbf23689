"""What newer clients of Z-API and those of Ze da API send, read as the same messages."""

from typing import Any

import pytest

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.contract.wire import Wire
from gateway.contract.zapi.instances import (
    PhoneCode,
    SetProfileAbout,
    SetProfileName,
    SetProfilePicture,
)
from gateway.contract.zapi.messages.interactive import SendOptionList
from gateway.contract.zapi.messages.media import SendDocument, SendImage, SendPtv, SendVideo
from gateway.contract.zapi.messages.message_actions import ForwardMessage, ReadMessage
from gateway.contract.zapi.messages.places_and_people import SendLocation
from gateway.contract.zapi.messages.polls_and_events import SendEvent, SendPollVote
from gateway.contract.zapi.messages.text import SendText
from gateway.contract.zapi.status import SendTextStatus
from gateway.documents.surface import UNCONFIRMED, Entry, surface
from gateway.errors import InvalidRequest

PHONE, GROUP, SENT = "5511999999999", "120363019502650977-group", "3EB0577D10A2B4C6D8E9F1"
FILE = "https://example.com/file"
PLACE = {"phone": PHONE, "address": "Av. 1", "latitude": -23.5, "longitude": -46.6}
EDITS: list[tuple[type[OutgoingMessage], str, str]] = [
    (SendImage, "image", "editImageMessageId"),
    (SendVideo, "video", "editVideoMessageId"),
    (SendDocument, "document", "editDocumentMessageId"),
]


@pytest.mark.parametrize(
    ("declared", "field", "theirs", "rest"),
    [
        (SendLocation, "title", "name", PLACE),
        (SendPtv, "ptv", "video", {"phone": PHONE}),
        (SendTextStatus, "message", "text", {}),
        (ForwardMessage, "messagePhone", "fromPhone", {"phone": PHONE, "messageId": SENT}),
        (SetProfileName, "value", "name", {}),
        (SetProfileAbout, "value", "description", {}),
        (SetProfilePicture, "value", "picture", {}),
        (SendText, "mentionAll", "mentionedAll", {"phone": GROUP, "message": "Hello"}),
    ],
)
def test_field_of_the_dialect_is_read_as_z_apis(
    declared: type[Wire], field: str, theirs: str, rest: dict[str, Any]
) -> None:
    value = {"messagePhone": "5511888888888", "mentionAll": True}.get(field, FILE)

    assert build(declared, {**rest, theirs: value}) == build(declared, {**rest, field: value})


def test_poll_vote_takes_names_and_an_empty_list() -> None:
    vote = {"phone": GROUP, "pollMessageId": SENT}

    assert build(SendPollVote, {**vote, "options": ["Red"]}) == build(
        SendPollVote, {**vote, "pollVote": [{"name": "Red"}]}
    )
    assert build(SendPollVote, {**vote, "pollVote": []}).poll_vote == ()


def test_read_message_takes_several_ids() -> None:
    several = build(ReadMessage, {"phone": PHONE, "messageIds": ["A", "B", "A"], "messageId": "B"})
    assert several.ids == ("B", "A")

    for body in ({"phone": PHONE}, {"phone": PHONE, "messageIds": []}):
        with pytest.raises(InvalidRequest, match="messageId: is required"):
            build(ReadMessage, body)


def test_option_without_description_and_event_without_canceled_are_taken() -> None:
    options = {"title": "T", "buttonLabel": "L", "options": [{"title": "One"}]}
    message = build(SendOptionList, {"phone": PHONE, "message": "Choose", "optionList": options})
    assert message.option_list.options[0].description is None

    event = {"name": "Launch", "dateTime": "2030-04-29T09:30:00Z"}
    assert build(SendEvent, {"phone": GROUP, "event": event}).event.canceled is False


@pytest.mark.parametrize(("declared", "file", "edit"), EDITS)
def test_edit_of_a_caption_needs_no_file(
    declared: type[OutgoingMessage], file: str, edit: str
) -> None:
    message = build(declared, {"phone": PHONE, "caption": "Better", edit: SENT})

    assert (message.edited_id(), message.referred_ids()) == (SENT, (SENT,))
    assert message.model_dump_json(exclude_none=True).count(file) == 1  # the name of the id alone


@pytest.mark.parametrize(("declared", "file", "edit"), EDITS)
def test_file_is_required_where_nothing_is_edited(
    declared: type[OutgoingMessage], file: str, edit: str
) -> None:
    for body in ({"phone": PHONE}, {"phone": PHONE, edit: ""}):
        with pytest.raises(InvalidRequest, match=f"{file}: is required"):
            build(declared, body)


@pytest.mark.parametrize("declared", [SendImage, SendVideo])
def test_file_beside_an_edit_is_dropped(declared: type[OutgoingMessage]) -> None:
    file, edit = ("image", "editImageMessageId")
    if declared is SendVideo:
        file, edit = ("video", "editVideoMessageId")

    assert getattr(build(declared, {"phone": PHONE, file: FILE, edit: SENT}), file) is None


def test_phone_code_is_named_twice() -> None:
    assert PhoneCode.model_validate({"code": "1A2B-3C4D"}).value == "1A2B-3C4D"


def addresses(declared: type[OutgoingMessage] | type[Operation[Any]]) -> set[str]:
    return {entry.path for entry in surface(catalogue()) if entry.declared is declared}


def test_unconfirmed_names_exist_and_are_shown() -> None:
    """A marker that names nothing would say nothing to a reader."""
    marked = [entry for entry in surface(catalogue()) if entry.unconfirmed]
    assert marked
    for entry in marked:
        fields = {info.alias for info in entry.declared.model_fields.values()}
        assert set(entry.declared.unconfirmed) <= fields | addresses(entry.declared)
        assert UNCONFIRMED in entry.description


def test_path_of_an_alias_is_marked_there_alone() -> None:
    shown = {
        entry.path: entry.unconfirmed
        for entry in surface(catalogue())
        if entry.path.startswith("/privacy/photo")
    }

    assert shown == {
        "/privacy/photo": (),
        "/privacy/photo-visualization": ("/privacy/photo-visualization",),
    }


def test_entry_without_marker_has_no_note() -> None:
    assert UNCONFIRMED not in Entry(SendPtv, "POST", "/send-ptv").description
