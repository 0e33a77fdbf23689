"""Bodies of the control routes that simulate events, and the events they become.

receive       {phone, kind | <content>, ...}   a message of any kind: `{"text": "hi"}`,
              `{"image": {"caption": "x", "source": "<URL, data: URI or base64>"}}`,
              or `{"kind": "poll"}` for an example; `chat` where it is a group, channel or
              list; `waiting` if it cannot be read yet and comes again under the
              same `messageId`; `edit` with `refersTo` an edit
notification  {phone, kind | code, ...}        `{"kind": "group-create", "phone": "...-group"}`
call          {phone, status?, video?}         offered, or missed under the same `callId`
presence      {phone, status}                  available, unavailable, composing, recording, paused
chat          {phone, action}                  archive, pin, mute, ...: what `/modify-chat` takes
receipt       {phone, messageIds, status}      sent, delivered, read, played, read_by_me
identity      {lid, phone?, name?}             the phone and name of a LID
picture       {phone, url?}                    the person has another picture, or none
history       {messages?, chats?}              earlier messages in the form of `receive`;
              chats as the phone lists them: `{phone, lastMessageAt, name?, unread?}`
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, Field, model_validator

from gateway.contract.callbacks import NotificationCode, NotificationReceived
from gateway.contract.wire import Chat
from gateway.errors import InvalidRequest
from gateway.providers.sandbox.bodies import ControlBody
from gateway.providers.sandbox.contents import (
    VARIANTS,
    checked_content,
    envelope_of,
    files_in,
    message_content,
    without_source,
)
from gateway.providers.sandbox.simulated_states import (
    MAX_AT_ONCE,
    CallBody,
    Id,
    IdentityBody,
    Lid,
    ModifiedChatBody,
    Moment,
    PresenceBody,
    ReceiptBody,
    SimulatedEventBody,
)
from gateway.sessions.provider import (
    CallChanged,
    Event,
    HistoryChat,
    HistoryReceived,
    MessageReceived,
    Notified,
)

_SAY_NO_EXPIRATION: Final = frozenset(
    {"waitingMessage", "reaction", "pollVote", "pinMessage", "eventResponse"}
)


class ReceiveBody(SimulatedEventBody, extra="allow"):
    """A message to the phone, or from the owner on it; keys beside these are the content."""

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
        given, source = without_source(self.model_extra or {})
        if self.waiting:
            kind, content = "waitingMessage", given
            if content.keys() - {"viewOnce"}:
                raise InvalidRequest(
                    "waiting: a message that cannot be read has no content but viewOnce"
                )
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
            expiration_seconds=shown.get("messageExpirationSeconds", expiration_of(kind))
            if self.expiration_seconds is None
            else self.expiration_seconds,
            files=files,
        )


class NotificationBody(SimulatedEventBody):
    """A notification by WhatsApp; `phone` is the chat, `by` the number that caused it."""

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


class HistoryChatBody(ControlBody):
    """A chat as the phone lists it."""

    phone: Chat
    last_message_at: AwareDatetime
    lid: Lid | None = None
    name: str | None = None
    unread: Annotated[int, Field(ge=0)] | None = None

    def shown(self) -> HistoryChat:
        return HistoryChat(self.phone, self.last_message_at, self.lid, self.name, self.unread)


class HistoryBody(SimulatedEventBody):
    """Earlier messages, each with its own id, and chats."""

    messages: Annotated[tuple[ReceiveBody, ...], Field(max_length=MAX_AT_ONCE)] = ()
    chats: Annotated[tuple[HistoryChatBody, ...], Field(max_length=MAX_AT_ONCE)] = ()

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


SIMULATED_EVENTS: Final[Mapping[str, type[SimulatedEventBody]]] = {
    "receive": ReceiveBody,
    "notification": NotificationBody,
    "call": CallBody,
    "presence": PresenceBody,
    "chat": ModifiedChatBody,
    "receipt": ReceiptBody,
    "identity": IdentityBody,
    "history": HistoryBody,
}


def expiration_of(kind: str) -> int | None:
    """Returns 0, because messages do not disappear; None for those that do not say it."""
    return None if kind in _SAY_NO_EXPIRATION else 0


def id_of(event: Event) -> str | None:
    """Returns the id of the message or call, if it has one."""
    match event:
        case MessageReceived() | Notified():
            return event.provider_message_id
        case CallChanged():
            return event.call_id
        case _:
            return None
