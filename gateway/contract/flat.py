"""Flat messages: one JSON object that names instance, recipient and text or file side by side.

Systems that do not speak Z-API's contract send them. Each becomes a message of that contract.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.send import OutgoingMessage
from gateway.contract.wire import FutureTime
from gateway.errors import InvalidRequest

RECIPIENTS: Final = ("phoneNumber", "phone", "remoteJid", "groupId")
"""The fields that may name the recipient."""

SCHEDULE_KEY: Final = "scheduleId:"
"""Begins the idempotency key that comes from a `scheduleId`."""

_CHANNEL: Final = "whatsapp"
_CAPTIONED: Final = frozenset({"image", "video", "document", "gif"})
_MEDIA_TYPES: Final = ("image", "video", "audio", "document", "sticker", "gif", "ptv")
_DOCUMENT_TYPES: Final = frozenset({"application", "text"})
_PASSED_ON: Final = (
    "delayMessage",
    "delayTyping",
    "expiresAt",
    "expiresIn",
    "fileName",
    "priority",
    "scheduledFor",
    "trackId",
)
_INVALID_PHONE: Final = "Invalid phone"
_NO_PHONE: Final = "must be a phone, such as 5511999999999, or the id of a group"
_TIME: Final = TypeAdapter(FutureTime)
_NO_TIME: Final = (
    "must be a time with an offset, such as 2026-01-31T12:00:00Z, or seconds or milliseconds since "
    "1970"
)


def flat_message(fields: Mapping[str, Any]) -> OutgoingMessage:
    """Returns the message that the fields of a flat one describe.

    Raises:
        InvalidRequest: names the first wrong field as the flat message spells it.
    """
    channel = fields.get("channel")
    if channel is not None and str(channel).lower() != _CHANNEL:
        raise InvalidRequest(f"channel: must be {_CHANNEL}")
    recipient = recipient_of(fields)
    kind, content = _content_of(fields)
    passed_on = {name: fields[name] for name in _PASSED_ON if fields.get(name) is not None}
    if "scheduledFor" in passed_on:
        passed_on["scheduledFor"] = time_of(fields, "scheduledFor")
    send = catalogue().sends[f"send-{kind}"]
    try:
        return build(send, {"phone": fields[recipient], **content, **passed_on})
    except InvalidRequest as error:
        raise InvalidRequest(respelled(str(error), send.kind(), recipient=recipient)) from None


def recipient_of(fields: Mapping[str, Any]) -> str:
    """Returns the name of the field that holds the recipient.

    Raises:
        InvalidRequest: none does, or two have different ones.
    """
    given = [name for name in RECIPIENTS if fields.get(name) not in (None, "")]
    if not given:
        raise InvalidRequest("phoneNumber: is required, or remoteJid or groupId")
    if len({str(fields[name]) for name in given}) > 1:
        raise InvalidRequest(f"{given[1]}: must not be given together with {given[0]}")
    return given[0]


def respelled(text: str, kind: str, *, recipient: str) -> str:
    """Returns an error of a message of *kind* with the names that a flat one has for its fields."""
    if text == _INVALID_PHONE:
        return f"{recipient}: {_NO_PHONE}"
    names = {kind.removeprefix("send-"): "mediaUrl", "caption": "message", "phone": recipient}
    name, colon, rest = text.partition(":")
    return f"{names[name]}:{rest}" if colon and name in names else text


def time_of(fields: Mapping[str, Any], name: str) -> datetime | None:
    """Returns a time that is ISO 8601 with an offset, or seconds or milliseconds since 1970.

    Raises:
        InvalidRequest: it is none of these.
    """
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool):
        raise InvalidRequest(f"{name}: {_NO_TIME}")
    try:
        return _TIME.validate_python(value)
    except ValidationError:
        raise InvalidRequest(f"{name}: {_NO_TIME}") from None


def _content_of(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the type of the message, and its text or its file."""
    url, text = fields.get("mediaUrl"), fields.get("message")
    if url in (None, ""):
        return "text", {} if text is None else {"message": text}
    kind = _media_type_of(fields.get("mediaType"))
    if text in (None, ""):
        return kind, {kind: url}
    if kind not in _CAPTIONED:
        raise InvalidRequest(f"message: must be empty with {kind}, which has no caption")
    return kind, {kind: url, "caption": text}


def _media_type_of(given: object) -> str:
    """Returns a media type; a MIME type such as `image/png` names one, too."""
    kind = str(given or "").lower().partition("/")[0]
    kind = "document" if kind in _DOCUMENT_TYPES else kind
    if kind not in _MEDIA_TYPES:
        raise InvalidRequest(f"mediaType: must be one of {', '.join(_MEDIA_TYPES)}")
    return kind
