"""What others may do to a phone, and the events that come of it.

receive       {phone, kind | <content>, ...}   a message of any kind: `{"text": "hi"}`,
              `{"image": {"caption": "x", "source": "<URL, data: URI or base64>"}}`,
              or `{"kind": "poll"}` for an example; `chat` where it is a group, channel or
              list; `waiting` what cannot be read yet, told again under the same
              `messageId`; `edit` with `refersTo` an edit
notification  {phone, kind | code, ...}        `{"kind": "group-create", "phone": "...-group"}`
call          {phone, status?, video?}         offered, or missed under the same `callId`
presence      {phone, status}                  available, unavailable, composing, recording, paused
receipt       {phone, messageIds, status}      sent, delivered, read, played, read_by_me
identity      {lid, phone?, name?}             who is who
history       {messages?, chats?}              messages from before, as `receive` takes them;
              chats as the phone lists them: `{phone, lastMessageAt, name?, unread?}`
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from gateway.contract.callbacks import NotificationCode, NotificationReceived
from gateway.contract.wire import Chat, is_group
from gateway.errors import InvalidRequest
from gateway.providers.sandbox.bodies import ControlBody
from gateway.providers.sandbox.contents import (
    VARIANTS,
    checked_content,
    envelope_of,
    files_in,
    message_content,
    taken_out,
)
from gateway.sessions.provider import (
    Acknowledgement,
    CallChanged,
    Event,
    HistoryChat,
    HistoryReceived,
    IdentityLearned,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    PresenceChanged,
)

Lid = Annotated[str, StringConstraints(pattern=r"^[0-9]{5,25}@lid$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]

_MAX_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happens, and an id for it."""

    at: datetime
    new_id: str


class HappeningBody(ControlBody):
    """The body of a control route that tells something."""

    def event(self, moment: Moment) -> Event:
        raise NotImplementedError


class ReceiveBody(HappeningBody, extra="allow"):
    """Somebody writes, or the owner on the phone itself; keys beside these are the content."""

    phone: Chat
    chat: Chat | None = None
    kind: str | None = None
    lid: Lid | None = None
    chat_lid: Lid | None = None
    sender_name: str | None = None
    chat_name: str | None = None
    photo: str | None = None
    sender_photo: str | None = None
    message_id: Id | None = None
    from_me: bool | None = None
    waiting: bool = False
    edit: bool = False
    status_reply: bool | None = None
    forwarded: bool = False
    expiration_seconds: int | None = None
    quotes: Id | None = None
    refers_to: Id | None = None

    @model_validator(mode="after")
    def _edit_refers(self) -> "ReceiveBody":
        if self.edit and self.refers_to is None:
            raise ValueError("refersTo must name the message that is edited")
        return self

    def event(self, moment: Moment) -> MessageReceived:
        given, source = taken_out(self.model_extra or {})
        if self.waiting:
            kind, content = "waitingMessage", given
            if content.keys() - {"viewOnce"}:
                raise InvalidRequest("waiting: what cannot be read has no content but viewOnce")
        else:
            kind, content = message_content(self.kind, given)
        content, files = files_in(content, source)
        shown = envelope_of(self.kind)
        from_me = bool(shown.get("fromMe")) if self.from_me is None else self.from_me
        chat = self.chat or (shown.get("phone") if self.kind else None) or self.phone
        return MessageReceived(
            provider_message_id=self.message_id or moment.new_id,
            chat=chat,
            sender=None if from_me else self.phone,
            sender_name=self.sender_name,
            from_me=from_me,
            at=moment.at,
            kind=kind,
            content=content,
            quoted_provider_id=self.quotes or shown.get("referenceMessageId"),
            refers_to=self.refers_to,
            is_edit=self.edit,
            chat_lid=self.chat_lid or (self.lid if chat == self.phone else None),
            sender_lid=None if from_me else self.lid,
            chat_name=self.chat_name,
            photo=self.photo,
            sender_photo=self.sender_photo,
            is_waiting=self.waiting or bool(shown.get("waitingMessage")),
            is_status_reply=bool(shown.get("isStatusReply"))
            if self.status_reply is None
            else self.status_reply,
            is_forwarded=self.forwarded,
            expiration_seconds=shown.get("messageExpirationSeconds")
            if self.expiration_seconds is None
            else self.expiration_seconds,
            files=files,
        )


class NotificationBody(HappeningBody):
    """WhatsApp says something itself; `phone` is the chat, `by` whose doing it was."""

    phone: Chat
    kind: str | None = None
    code: NotificationCode | None = None
    message_id: Id | None = None
    parameters: list[str] | list[dict[str, Any]] | None = None
    request_method: str | None = None
    link_mode: str | None = None
    profile_name: str | None = None
    updated_photo: str | None = None
    by: Chat | None = None
    by_name: str | None = None
    by_lid: Lid | None = None
    chat_lid: Lid | None = None
    chat_name: str | None = None
    from_me: bool | None = None
    refers_to: Id | None = None

    def event(self, moment: Moment) -> Notified:
        shown = self._shown()
        content = checked_content(NotificationReceived, {**self._example(shown), **self._given()})
        code = content.pop("notification")
        own = content.keys() & {"profileName", "updatedPhoto"}
        parameters = content.pop("notificationParameters", None if own else [])
        has_no_id = "messageId" in shown and shown["messageId"] is None
        from_me = bool(shown.get("fromMe")) if self.from_me is None else self.from_me
        return Notified(
            code=code,
            chat=self.phone,
            at=moment.at,
            provider_message_id=self.message_id or (None if has_no_id else moment.new_id),
            parameters=parameters,
            details=content,
            by=self.by,
            by_name=self.by_name,
            by_lid=self.by_lid,
            chat_lid=self.chat_lid,
            chat_name=self.chat_name,
            from_me=from_me,
            refers_to=self.refers_to,
        )

    def _shown(self) -> Mapping[str, Any]:
        if self.kind is None:
            return {}
        if VARIANTS.get(self.kind) is not NotificationReceived:
            raise InvalidRequest(
                f"kind: must be one of {', '.join(sorted(NotificationReceived.variants))}"
            )
        return NotificationReceived.variants[self.kind]

    def _example(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        own = NotificationReceived.content_keys()
        return {key: value for key, value in shown.items() if key in own and key != "callId"}

    def _given(self) -> dict[str, Any]:
        given = {
            "notification": self.code,
            "notificationParameters": self.parameters,
            "requestMethod": self.request_method,
            "linkMode": self.link_mode,
            "profileName": self.profile_name,
            "updatedPhoto": self.updated_photo,
        }
        return {key: value for key, value in given.items() if value is not None}


class CallBody(HappeningBody):
    """Somebody calls, or gave up calling."""

    phone: Chat
    lid: Lid | None = None
    call_id: Id | None = None
    status: Literal["offered", "missed"] = "offered"
    video: bool = False
    caller_name: str | None = None

    def event(self, moment: Moment) -> CallChanged:
        return CallChanged(
            call_id=self.call_id or moment.new_id,
            chat=self.phone,
            status=self.status,
            is_video=self.video,
            at=moment.at,
            chat_lid=self.lid,
            caller_name=self.caller_name,
        )


class PresenceBody(HappeningBody):
    """Somebody came, left or writes."""

    phone: Chat
    lid: Lid | None = None
    status: Literal["available", "unavailable", "composing", "recording", "paused"]
    last_seen: AwareDatetime | None = None

    def event(self, moment: Moment) -> PresenceChanged:
        return PresenceChanged(self.phone, self.status, moment.at, self.lid, self.last_seen)


class ReceiptBody(HappeningBody):
    """Messages reached a state, in a group by somebody."""

    phone: Chat
    lid: Lid | None = None
    message_ids: Annotated[list[Id], Field(min_length=1, max_length=_MAX_AT_ONCE)]
    status: Acknowledgement
    by: Chat | None = None
    by_lid: Lid | None = None
    device: int = 0

    @model_validator(mode="after")
    def _by_somebody(self) -> "ReceiptBody":
        if self.by and not is_group(self.phone):
            raise ValueError("by is for groups alone")
        return self

    def event(self, moment: Moment) -> MessageAcknowledged:
        return MessageAcknowledged(
            provider_message_ids=self.message_ids,
            chat=self.phone,
            status=self.status,
            at=moment.at,
            by=self.by,
            chat_lid=self.lid,
            by_lid=self.by_lid,
            device=self.device,
        )


class IdentityBody(HappeningBody):
    """WhatsApp says who is who."""

    lid: Lid
    phone: Chat | None = None
    name: str | None = None

    def event(self, moment: Moment) -> IdentityLearned:
        return IdentityLearned(self.lid, moment.at, self.phone, self.name)


class HistoryChatBody(ControlBody):
    """A chat as the phone lists it."""

    phone: Chat
    last_message_at: AwareDatetime
    lid: Lid | None = None
    name: str | None = None
    unread: Annotated[int, Field(ge=0)] | None = None

    def shown(self) -> HistoryChat:
        return HistoryChat(self.phone, self.last_message_at, self.lid, self.name, self.unread)


class HistoryBody(HappeningBody):
    """What was before: messages, each with an id of its own, and chats."""

    messages: Annotated[tuple[ReceiveBody, ...], Field(max_length=_MAX_AT_ONCE)] = ()
    chats: Annotated[tuple[HistoryChatBody, ...], Field(max_length=_MAX_AT_ONCE)] = ()

    @model_validator(mode="after")
    def _all_named(self) -> "HistoryBody":
        if not self.messages and not self.chats:
            raise ValueError("messages or chats are needed")
        if any(message.message_id is None for message in self.messages):
            raise ValueError("messageId is missing in a message")
        return self

    def event(self, moment: Moment) -> HistoryReceived:
        return HistoryReceived(
            tuple(message.event(moment) for message in self.messages),
            moment.at,
            tuple(chat.shown() for chat in self.chats),
        )


HAPPENINGS: Final[Mapping[str, type[HappeningBody]]] = {
    "receive": ReceiveBody,
    "notification": NotificationBody,
    "call": CallBody,
    "presence": PresenceBody,
    "receipt": ReceiptBody,
    "identity": IdentityBody,
    "history": HistoryBody,
}


def id_of(event: Event) -> str | None:
    """The id of the message or call, where it has one."""
    match event:
        case MessageReceived() | Notified():
            return event.provider_message_id
        case CallChanged():
            return event.call_id
        case _:
            return None
