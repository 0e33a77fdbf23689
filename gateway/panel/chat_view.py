"""What a chat shows of a message: its text, its file, and how far it came."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from typing import Any, Final, Literal

from gateway.media.stored_links import LinkedFile, linked_file
from gateway.panel.cookies import Tone
from gateway.panel.languages import N_

Media = Literal["image", "audio", "video", "file"]
Json = Mapping[str, Any]

_FILES: Final[Mapping[str, str]] = {
    "image": "imageUrl",
    "sticker": "imageUrl",
    "video": "videoUrl",
    "audio": "audioUrl",
    "document": "documentUrl",
}
_STICKER_URL: Final = "stickerUrl"
# What browsers show and every file of which has a mark in its bytes: no SVG, no HTML.
_SHOWN_TYPES: Final[Mapping[str, Media]] = {
    **dict.fromkeys(("image/gif", "image/jpeg", "image/png", "image/webp"), "image"),
    **dict.fromkeys(("audio/aac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/wav"), "audio"),
    **dict.fromkeys(("video/mp4", "video/webm"), "video"),
}
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "image": (N_("Picture"), "image"),
    "sticker": (N_("Sticker"), "image"),
    "video": (N_("Video"), "play"),
    "audio": (N_("Voice message"), "audio"),
    "document": (N_("Document"), "file"),
    "contact": (N_("Contact"), "user"),
    "contacts": (N_("Contacts"), "people"),
    "location": (N_("Place"), "place"),
    "poll": (N_("Poll"), "note"),
    "pollVote": (N_("Vote in a poll"), "note"),
    "reaction": (N_("Reaction"), "message"),
    "product": (N_("Product"), "tag"),
    "order": (N_("Order"), "tag"),
    "event": (N_("Event"), "calendar"),
}
_OTHER: Final = (N_("A message that only the phone shows"), "phone")
_OTHER_SENT: Final = (N_("Message"), "message")
_QUEUED_KINDS: Final = {
    f"send-{name}": _KINDS[name] for name in ("image", "video", "audio", "document", "sticker")
}
_STATES: Final[Mapping[str, tuple[str, Tone]]] = {
    "SENT": (N_("Sent"), "plain"),
    "RECEIVED": (N_("Delivered"), "plain"),
    "READ": (N_("Read"), "ok"),
    "PLAYED": (N_("Played"), "ok"),
}
_TEXTS: Final = ("message", "caption", "title", "name", "displayName", "question", "description")


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A stored file: how the page shows it, its address at this gateway, and its name."""

    media: Media
    path: str
    name: str


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message of a chat; `kind`, `state` and `problem` are English msgids or whole sentences.

    `version` changes when the page shows something else of it; a new link to the same file is none.
    """

    id: str
    at: datetime
    from_me: bool
    author: str
    kind: str
    icon: str
    text: str
    file: ShownFile | None
    state: str
    tone: Tone
    problem: str

    @property
    def version(self) -> str:
        return (
            f"{self.state}-{self.text[:1]}{len(self.text)}-{bool(self.file)}-{bool(self.problem)}"
        )


@dataclass(frozen=True, slots=True)
class ThreadDay:
    """The messages of one day in the zone of the reader, the oldest first."""

    at: datetime
    messages: Sequence[ShownMessage]


def file_ids(callbacks: Iterable[Json], instance_id: str) -> set[str]:
    """Returns the ids of the stored files that messages show."""
    found = (_linked(each, instance_id) for each in callbacks)
    return {linked.id for linked in found if linked}


def queued_message(
    message_id: str, at: datetime, kind: str, text: str | None, *, error: str | None
) -> ShownMessage:
    """Returns a message that is still in the queue; one with an *error* was given up."""
    name, icon = _QUEUED_KINDS.get(kind, ("", "") if text else _OTHER_SENT)
    return ShownMessage(
        id=message_id,
        at=at,
        from_me=True,
        author="",
        kind=name,
        icon=icon,
        text=text or "",
        file=None,
        state=N_("Waiting") if error is None else N_("Could not be sent"),
        tone="wait" if error is None else "bad",
        problem=error or "",
    )


def days_of(
    callbacks: Sequence[Json],
    instance_id: str,
    types: Mapping[str, str],
    zone: tzinfo,
    queued: Sequence[ShownMessage] = (),
) -> Sequence[ThreadDay]:
    """Returns messages by day; *callbacks* are those of /chat-messages, the latest first.

    Args:
        callbacks: the messages of the history.
        instance_id: whose files they may show.
        types: the MIME types of stored files, by their ids.
        zone: of the reader.
        queued: messages of the queue, which stand among those of the history by their time.
    """
    shown = [_shown(each, instance_id, types) for each in reversed(callbacks)]
    known = {message.id for message in shown}  # one may be sent between the two reads
    shown += [message for message in queued if message.id not in known]
    shown.sort(key=lambda message: (message.tone == "wait", message.at))
    grouped = groupby(shown, key=lambda message: message.at.astimezone(zone).date())
    return [ThreadDay(found[0].at, found) for found in (list(each) for _date, each in grouped)]


def _shown(callback: Json, instance_id: str, types: Mapping[str, str]) -> ShownMessage:
    key = _key_of(callback)
    content = _content(callback, key)
    kind, icon = ("", "") if key == "text" else _KINDS.get(key, _OTHER)
    file = _file(callback, instance_id, types)
    from_me = bool(callback.get("fromMe"))
    state, tone = (
        _STATES.get(str(callback.get("status")), ("", "plain")) if from_me else ("", "plain")
    )
    return ShownMessage(
        id=str(callback.get("messageId", "")),
        at=datetime.fromtimestamp(int(callback.get("momment", 0)) / 1000, UTC),
        from_me=from_me,
        author=str(callback.get("senderName") or callback.get("participantPhone") or ""),
        kind=kind,
        icon=icon,
        text=_text(key, content),
        file=file,
        state=state,
        tone=tone,
        problem=_problem(callback, content, key, file),
    )


def _problem(callback: Json, content: Json, key: str, file: ShownFile | None) -> str:
    if error := callback.get("error"):
        return str(error)
    if callback.get("waitingMessage"):
        return N_("This message is still on its way to this phone.")
    if key in _FILES and (content.get("downloadError") or (file is None and _url(content, key))):
        return N_("The file is no longer stored here.")
    return ""


def _key_of(callback: Json) -> str:
    if "text" in callback:
        return "text"
    return next((key for key in _KINDS if callback.get(key)), "")


def _content(callback: Json, key: str) -> Json:
    found = callback.get(key)
    return found if isinstance(found, dict) else {}


def _text(key: str, content: Json) -> str:
    if key == "reaction":
        return str(content.get("value") or "")
    names = ("caption",) if key in _FILES else _TEXTS
    found = (content.get(name) for name in names)
    return next((text for text in found if isinstance(text, str) and text), "")


def _url(content: Json, key: str) -> str:
    url = content.get(_FILES.get(key, "")) or content.get(_STICKER_URL)
    return url if isinstance(url, str) else ""


def _linked(callback: Json, instance_id: str) -> LinkedFile | None:
    key = _key_of(callback)
    found = linked_file(_url(_content(callback, key), key))
    return found if found and found.instance_id == instance_id else None


def _file(callback: Json, instance_id: str, types: Mapping[str, str]) -> ShownFile | None:
    linked = _linked(callback, instance_id)
    if linked is None or linked.id not in types:
        return None
    key = _key_of(callback)
    content = _content(callback, key)
    media = "file" if key == "document" else _SHOWN_TYPES.get(_plain(types[linked.id]), "file")
    return ShownFile(media, linked.path, str(content.get("fileName") or content.get("title") or ""))


def _plain(mime_type: str) -> str:
    return mime_type.partition(";")[0].strip().lower()
