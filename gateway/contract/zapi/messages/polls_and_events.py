"""Polls and their votes; events, their edits and their answers."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.contract import whatsapp_limits as whatsapp
from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.limits import Limit, distinct, max_characters, max_items, min_items, rule
from gateway.contract.send import MessageId, OutgoingMessage
from gateway.contract.spellings import is_group
from gateway.contract.wire import Incoming
from gateway.contract.zapi.messages.text import Label, MessageText

_GROUP = "120363019502650977-group"


class PollOption(Incoming):
    """An option, known by its text."""

    name: Label


class SendPoll(OutgoingMessage, path="/send-poll"):
    """Sends a poll."""

    message: MessageText
    poll: Annotated[tuple[PollOption, ...], Field(min_length=1)]
    poll_max_options: int = Field(0, ge=0, description="votes of one person; 0 is any number")

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Which one?",
        "poll": [{"name": "Red"}, {"name": "Blue"}],
    }
    example: ClassVar[Example] = {**example_minimal, "pollMaxOptions": 1, "delayMessage": 1}
    limits: ClassVar[tuple[Limit, ...]] = (
        max_characters("message", whatsapp.MAX_POLL_QUESTION_LENGTH),
        min_items("poll", whatsapp.MIN_POLL_OPTIONS),
        max_items("poll", whatsapp.MAX_POLL_OPTIONS),
        max_characters("poll[].name", whatsapp.MAX_POLL_OPTION_LENGTH),
        distinct("poll", "name"),
        rule(
            "poll_max_options",
            "must be at most the number of options",
            lambda message: message.poll_max_options <= len(message.poll),
        ),
    )

    def readable_text(self) -> str | None:
        return self.message

    def echo(self, _context: EchoContext) -> Content | None:
        return {
            "poll": {
                "question": self.message,
                "pollMaxOptions": self.poll_max_options,
                "options": [{"name": option.name} for option in self.poll],
            }
        }


def _options_from_names(value: object) -> object:
    """Reads a list of names as a list of options."""
    if isinstance(value, list | tuple):
        return [{"name": item} if isinstance(item, str) else item for item in value]
    return value


class SendPollVote(OutgoingMessage, path="/send-poll-vote"):
    """Votes in a poll; a later vote replaces the one before."""

    poll_message_id: MessageId
    poll_vote: Annotated[tuple[PollOption, ...], BeforeValidator(_options_from_names)] = Field(
        description="the options that it chooses; an empty list withdraws the vote",
        validation_alias=AliasChoices("pollVote", "options"),
    )

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "pollMessageId": "3EB0577D10A2B4C6D8E9F1",
        "pollVote": [{"name": "Red"}],
    }
    limits: ClassVar[tuple[Limit, ...]] = (max_items("poll_vote", whatsapp.MAX_POLL_OPTIONS),)

    def referred_ids(self) -> tuple[str, ...]:
        return (self.poll_message_id,)

    def echo(self, _context: EchoContext) -> Content | None:
        chosen = [{"name": option.name} for option in self.poll_vote]
        return {"pollVote": {"pollMessageId": self.poll_message_id, "options": chosen}}


_OFFSET = re.compile(r"(?:UTC|GMT)([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
_MAX_OFFSET = timedelta(hours=14)


def _parse_offset(name: str) -> timedelta | None:
    if name.upper() in {"UTC", "GMT"}:
        return timedelta()
    found = _OFFSET.fullmatch(name)
    if not found:
        return None
    away = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return -away if found[1] == "-" else away


def _is_offset(name: str) -> str:
    offset = _parse_offset(name)
    if offset is None or abs(offset) > _MAX_OFFSET:
        raise PydanticCustomError("utc_offset", "must be an offset such as UTC-3")
    return name


_WHEN = {  # no `format`, which would ask for an offset
    "type": "string",
    "description": "ISO 8601; without an offset, timeZone counts",
}


class Place(Incoming):
    """Where an event is."""

    name: str | None = None


class GroupEvent(Incoming):
    """An event: its name, time and place."""

    name: Label
    description: str | None = None
    date_time: Annotated[datetime, WithJsonSchema(_WHEN)]
    time_zone: Annotated[str, AfterValidator(_is_offset)] | None = Field(
        None, description="an offset such as UTC-3; UTC where absent"
    )
    location: Place | None = None
    call_link_type: Annotated[Literal["voice", "video"], ANY_CASE] | None = None
    canceled: bool = False

    @property
    def starts_at(self) -> datetime:
        if self.date_time.tzinfo:
            return self.date_time
        offset = _parse_offset(self.time_zone or "UTC")
        return self.date_time.replace(tzinfo=timezone(offset) if offset else UTC)


class EventMessage(OutgoingMessage):
    """A message whose content is an event."""

    event: GroupEvent
    limits: ClassVar[tuple[Limit, ...]] = (
        rule("phone", "must be a group", lambda message: is_group(message.phone)),
        max_characters("event.name", whatsapp.MAX_EVENT_NAME_LENGTH),
        max_characters("event.description", whatsapp.MAX_EVENT_DESCRIPTION_LENGTH),
    )

    def readable_text(self) -> str | None:
        return self.event.name

    def echo(self, _context: EchoContext) -> Content | None:
        place = self.event.location
        return {
            "event": {
                "name": self.event.name,
                "description": self.event.description,
                "canceled": self.event.canceled,
                "scheduleTime": int(self.event.starts_at.timestamp()),
                "location": {"name": place.name} if place else {},
            }
        }


class SendEvent(EventMessage, path="/send-event"):
    """Sends an event to a group."""

    example_minimal: ClassVar[Example] = {
        "phone": _GROUP,
        "event": {"name": "Launch", "dateTime": "2030-04-29T09:30:00Z", "canceled": False},
    }
    example: ClassVar[Example] = {
        "phone": _GROUP,
        "event": {
            "name": "Launch",
            "description": "We open the doors",
            "dateTime": "2030-04-29T09:30:00",
            "timeZone": "UTC-3",
            "location": {"name": "Office"},
            "callLinkType": "voice",
            "canceled": False,
        },
    }


class SendEditEvent(EventMessage, path="/send-edit-event"):
    """Replaces an event this instance sent; fields that are left out are removed."""

    event_message_id: MessageId

    example_minimal: ClassVar[Example] = {
        **SendEvent.example_minimal,
        "eventMessageId": "3EB0577D10A2B4C6D8E9F1",
    }
    example: ClassVar[Example] = {
        **SendEvent.example,
        "eventMessageId": "3EB0577D10A2B4C6D8E9F1",
    }

    def referred_ids(self) -> tuple[str, ...]:
        return (self.event_message_id,)

    def edited_id(self) -> str | None:
        return self.event_message_id


class SendEventResponse(OutgoingMessage, path="/send-event-response"):
    """Answers an event of another number."""

    event_message_id: MessageId
    event_response: Annotated[Literal["GOING", "NOT_GOING"], ANY_CASE]

    example: ClassVar[Example] = {
        "phone": _GROUP,
        "eventMessageId": "3EB0577D10A2B4C6D8E9F1",
        "eventResponse": "GOING",
    }
    limits: ClassVar[tuple[Limit, ...]] = ()

    def referred_ids(self) -> tuple[str, ...]:
        return (self.event_message_id,)

    def echo(self, context: EchoContext) -> Content | None:
        return {
            "eventResponse": {
                "response": self.event_response,
                "time": context.at_ms,
                "referencedMessage": context.reference_to(self.event_message_id, self.phone),
            }
        }
