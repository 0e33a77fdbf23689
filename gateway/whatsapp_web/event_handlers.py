"""Translates events that are not messages: calls, presence, changes of groups, pictures."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from gateway.contract.callbacks import NotificationCode
from gateway.sessions.provider import (
    CallChanged,
    ChatModified,
    Notified,
    PictureChanged,
    PresenceChanged,
)
from gateway.whatsapp_web.calls import Calls, OfferedCall
from gateway.whatsapp_web.jids import GROUP, Jid, chat_of, person_of, text_of

Body = Mapping[str, Any]

_ELSEWHERE: Final = frozenset({"accepted_elsewhere", "rejected_elsewhere"})
_MIN_MILLISECONDS = 100_000_000_000
_MAX_IN_ONE = 100

Presence = Literal["available", "unavailable", "composing", "recording", "paused"]


@dataclass(frozen=True, slots=True)
class EventScope:
    """What an event itself lacks; ids made from `number` stay the same when it is repeated."""

    number: int
    at: datetime
    own_phone: str | None
    calls: Calls


Facts = Iterator[CallChanged | ChatModified | Notified | PictureChanged | PresenceChanged]


def moment(timestamp: str | int) -> datetime:
    """Parses a time of the library, which has some in seconds and some in milliseconds."""
    number = int(timestamp)
    seconds = number / 1000 if number >= _MIN_MILLISECONDS else number
    return datetime.fromtimestamp(seconds, UTC)


def _call_offered(body: Body, scope: EventScope) -> Facts:
    shows = any(node["Tag"] == "video" for node in body["data"].get("Nodes", ()))
    return _offer(body["basicCallMeta"], scope.calls, is_video=shows)


def _group_call_offered(body: Body, scope: EventScope) -> Facts:
    return _offer(body["basicCallMeta"], scope.calls, is_video=body.get("media") == "video")


def _offer(call: Body, calls: Calls, *, is_video: bool) -> Facts:
    if caller := text_of(call.get("callCreator")) or text_of(call["from"]):
        calls.offered(call["callID"], OfferedCall(caller, is_video))
    return _call(call, "offered", is_video=is_video)


def _call_ended(body: Body, scope: EventScope) -> Facts:
    """Reports a missed call, unless another device answered or rejected it."""
    call = body["basicCallMeta"]
    offered = scope.calls.ended(call["callID"])
    if body.get("reason") not in _ELSEWHERE:
        yield from _call(call, "missed", is_video=bool(offered and offered.is_video))


def _call(call: Body, status: Literal["offered", "missed"], *, is_video: bool) -> Facts:
    chat, lid = person_of(call.get("callCreator"), call.get("callCreatorAlt"), call["from"])
    if chat:
        yield CallChanged(call["callID"], chat, status, is_video, moment(call["timestamp"]), lid)


def _writing(body: Body, scope: EventScope) -> Facts:
    """Ignores groups: the port cannot express which member is typing."""
    source = body["MessageSource"]
    chat, lid = person_of(source["Chat"], source.get("SenderAlt"))
    if chat and not source.get("IsGroup") and not source.get("IsFromMe"):
        shown: Presence = "recording" if body.get("Media") == "AUDIO" else "composing"
        status: Presence = shown if body.get("State") == "COMPOSING" else "paused"
        yield PresenceChanged(chat, status, scope.at, lid)


def _presence(body: Body, scope: EventScope) -> Facts:
    chat, lid = person_of(body["From"])
    if chat:
        status: Presence = "unavailable" if body.get("Unavailable") else "available"
        seen = int(body.get("LastSeen", 0))
        yield PresenceChanged(chat, status, scope.at, lid, moment(seen) if seen > 0 else None)


def _chat_modified(body: Body, scope: EventScope) -> Facts:
    del scope
    text = text_of(body["JID"])
    if text is not None:
        person, lid = person_of(body["JID"])
        at = moment(body["Timestamp"])
        yield ChatModified(person or chat_of(text), body["Action"], at, lid)


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of a group, without its place and author."""

    code: NotificationCode
    parameters: tuple[str, ...] = ()
    details: Body | None = None


def _group_changed(body: Body, scope: EventScope) -> Facts:
    """Yields every change in the event; there may be several."""
    for index, change in enumerate(_changes(body)):
        origin = _Origin(body["Timestamp"], scope, index)
        yield _notified(change, body["JID"], body.get("Sender"), origin)


def _group_joined(body: Body, scope: EventScope) -> Facts:
    """Reports that this account created a group, or was added to one."""
    group, me = body["GroupInfo"], scope.own_phone
    change = _Change("GROUP_PARTICIPANT_ADD", (me,) if me else ())
    if body.get("Type") == "new":
        change = _Change("GROUP_CREATE", (group.get("GroupName", {}).get("Name", ""),))
    by = body.get("SenderPN") if text_of(body.get("SenderPN")) else body.get("Sender")
    yield _notified(change, group["JID"], by, _Origin(int(scope.at.timestamp()), scope))


def _picture_changed(body: Body, scope: EventScope) -> Facts:
    """Reports a new picture of a group, of this account or of another person."""
    if body["JID"].get("Server") == GROUP:
        origin = _Origin(body["Timestamp"], scope)
        yield _notified(_Change("GROUP_CHANGE_ICON"), body["JID"], body.get("Author"), origin)
        return
    chat, lid = person_of(body["JID"])
    at = moment(body["Timestamp"])
    if chat and chat == scope.own_phone:
        yield Notified("PROFILE_PICTURE_UPDATED", chat, at, parameters=None, from_me=True)
    elif chat:
        yield PictureChanged(chat, at, lid)


@dataclass(frozen=True, slots=True)
class _Origin:
    """The event that a notification is made from, and its place in that event."""

    timestamp: str | int
    scope: EventScope
    index: int = 0

    @property
    def id(self) -> str:
        """An id that stays the same when the event is repeated."""
        seconds = int(moment(self.timestamp).timestamp())
        return f"{seconds}-{self.scope.number * _MAX_IN_ONE + self.index % _MAX_IN_ONE}"


def _notified(change: _Change, group: Jid, by: Jid | None, origin: _Origin) -> Notified:
    author, author_lid = person_of(by)
    return Notified(
        code=change.code,
        chat=chat_of(text_of(group) or ""),
        at=moment(origin.timestamp),
        provider_message_id=origin.id,
        parameters=change.parameters,
        details=change.details,
        by=author,
        by_lid=author_lid,
        from_me=author is not None and author == origin.scope.own_phone,
    )


_RULES: Final[dict[str, NotificationCode]] = {
    "Locked": "GROUP_CHANGE_RESTRICT",
    "Announce": "GROUP_CHANGE_ANNOUNCE",
}
_MEMBERS: Final[dict[str, NotificationCode]] = {
    "Join": "GROUP_PARTICIPANT_ADD",
    "Promote": "GROUP_PARTICIPANT_PROMOTE",
    "Demote": "GROUP_PARTICIPANT_DEMOTE",
}


def _changes(body: Body) -> Iterator[_Change]:
    if "Name" in body:
        yield _Change("GROUP_CHANGE_SUBJECT", (body["Name"].get("Name", ""),))
    if "Topic" in body:
        yield _Change("GROUP_CHANGE_DESCRIPTION", (body["Topic"].get("Topic", ""),))
    yield from (_Change(code) for field, code in _RULES.items() if field in body)
    for field, code in _MEMBERS.items():
        if people := _people(body.get(field, ())):
            yield _Change(code, people)
    yield from _left(body)
    for node in body.get("UnknownChanges", ()):
        yield from _request(node, body.get("Sender"))


def _left(body: Body) -> Iterator[_Change]:
    if people := _people(body.get("Leave", ())):
        alone = people == _people([body.get("Sender")])
        yield _Change("GROUP_PARTICIPANT_LEAVE" if alone else "GROUP_PARTICIPANT_REMOVE", people)


def _request(node: Body, sender: Jid | None) -> Iterator[_Change]:
    """Reads a request to join, or its withdrawal, which the library does not parse."""
    match node["Tag"]:
        case "created_membership_requests" | "membership_approval_request":
            code: NotificationCode = "MEMBERSHIP_APPROVAL_REQUEST"
        case "revoked_membership_requests":
            code = "REVOKED_MEMBERSHIP_REQUESTS"
        case _:
            return
    attributes = {each["name"]: each for each in node.get("Attrs", ())}
    method = attributes.get("request_method", {}).get("text", "").lower()
    asking = [_jid_in(child) for child in node.get("Nodes", ())]
    details = {"requestMethod": method} if method in {"invite_link", "non_admin_add"} else None
    people = _people(asking) or _people([sender])
    if method == "non_admin_add":
        people += tuple(who for who in _people([sender]) if who not in people)
    yield _Change(code, people, details)


def _jid_in(node: Body) -> Jid | None:
    found: Iterator[Jid | None] = (
        a.get("jid") for a in node.get("Attrs", ()) if a["name"] == "jid"
    )
    return next(found, None)


def _people(jids: Iterable[Jid | None]) -> tuple[str, ...]:
    return tuple(person for jid in jids if (person := person_of(jid)[0]))


EVENT_HANDLERS: Final[Mapping[str, Callable[[Body, EventScope], Facts]]] = {
    "CallOffer": _call_offered,
    "CallOfferNotice": _group_call_offered,
    "CallTerminate": _call_ended,
    "ChatPresence": _writing,
    "Presence": _presence,
    "ChatModified": _chat_modified,
    "GroupInfoEvent": _group_changed,
    "JoinedGroup": _group_joined,
    "Picture": _picture_changed,
}
"""The handler of each event, by its name in the library."""
