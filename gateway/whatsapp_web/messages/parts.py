"""Parts that many messages share, in the JSON form of protobuf."""

import base64
import secrets
from collections.abc import Sequence
from typing import Any

import orjson

from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile
from gateway.contract.send import readable_text_of
from gateway.contract.spellings import STATUS_BROADCAST, is_group
from gateway.errors import Refused
from gateway.sessions.provider import Attempt
from gateway.whatsapp_web.jids import jid_of
from gateway.whatsapp_web.session import Fields, Json, SendContext

_SECRET_BYTES = 32


def known(attempt: Attempt, message_id: str) -> KnownMessage:
    """Returns an earlier message of this instance; raises Refused if it is not known."""
    if found := attempt.referred.get(message_id):
        return found
    raise Refused(f"message {message_id} is not known on this instance")


def key_of(message: KnownMessage) -> Fields:
    """Returns the key by which WhatsApp names a message; of a group or status it has the author."""
    key: Fields = {
        "remoteJID": jid_of(message.chat),
        "fromMe": message.from_me,
        "ID": message.provider_message_id,
    }
    if message.sender and (is_group(message.chat) or message.chat == STATUS_BROADCAST):
        key["participant"] = jid_of(message.sender)
    return key


def context_of(attempt: Attempt, reply_to: str | None, mentioned: Sequence[str] = ()) -> Fields:
    """Returns `contextInfo` with the quoted message and the mentioned people, if there are any."""
    context: dict[str, Any] = {}
    if mentioned:
        context["mentionedJID"] = [jid_of(chat) for chat in mentioned]
    if reply_to:
        quoted = known(attempt, reply_to)
        context["stanzaID"] = quoted.provider_message_id
        context["quotedMessage"] = _quoted_content(quoted)
        if quoted.sender:
            context["participant"] = jid_of(quoted.sender)
        if quoted.chat == STATUS_BROADCAST:  # it is in another chat than the reply
            context["remoteJID"] = STATUS_BROADCAST
    return {"contextInfo": context} if context else {}


def _quoted_content(message: KnownMessage) -> Fields:
    """Returns what a quote shows; only a text if this provider did not see the message."""
    if message.provider_data is None:
        return {"conversation": readable_text_of(message) or ""}
    return content_of(message)


def content_of(message: KnownMessage) -> Fields:
    """Returns the message in WhatsApp's form, to quote or forward it."""
    if message.provider_data is None:
        raise Refused(f"message {message.message_id} came over another provider")
    fields: Fields = orjson.loads(message.provider_data)["message"]
    return fields


def edit_of(edited: KnownMessage, body: Fields) -> Fields:
    change = {"key": key_of(edited), "type": "MESSAGE_EDIT", "editedMessage": body}
    return {"editedMessage": {"message": {"protocolMessage": change}}}


def with_secret(message: Fields) -> Fields:
    """Adds the secret that encrypts votes and responses to the message."""
    secret = base64_of(secrets.token_bytes(_SECRET_BYTES))
    return {"messageContextInfo": {"messageSecret": secret}, **message}


def present(**fields: object) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def thumbnail_of(file: MediaFile | None) -> str | None:
    return base64_of(file.thumbnail) if file and file.thumbnail else None


def file_of(outgoing: SendContext, text: str) -> MediaFile:
    """Returns the file that a field of the message names; raises Refused if it is missing."""
    if file := outgoing.attempt.media.get(text):
        return file
    raise Refused("the file of the message is gone")


async def uploaded(outgoing: SendContext, file: MediaFile, kind: str) -> Fields:
    """Uploads the file; returns where WhatsApp's servers have it, and its key."""
    found = await outgoing.session.call("upload", path=str(file.path), type=f"Media{kind}")
    return present(
        URL=found["url"],
        directPath=found["DirectPath"],
        mediaKey=found["MediaKey"],
        fileEncSHA256=found["FileEncSHA256"],
        fileSHA256=found["FileSHA256"],
        fileLength=found["FileLength"],
        mimetype=file.mime_type,
    )


async def image_of(outgoing: SendContext, text: str) -> Fields:
    file = file_of(outgoing, text)
    return await uploaded(outgoing, file, "Image") | present(
        width=file.width, height=file.height, JPEGThumbnail=thumbnail_of(file)
    )


async def video_of(outgoing: SendContext, text: str) -> Fields:
    file = file_of(outgoing, text)
    return await uploaded(outgoing, file, "Video") | present(
        width=file.width,
        height=file.height,
        seconds=round(file.duration_seconds) if file.duration_seconds else None,
        JPEGThumbnail=thumbnail_of(file),
    )


def interactive(text: str, **parts: Json) -> Fields:
    return {"interactiveMessage": {"body": {"text": text}, **parts}}


def flow_of(buttons: list[Fields]) -> Fields:
    return {"nativeFlowMessage": {"buttons": buttons, "messageParamsJSON": "{}"}}


def flow_button(name: str, **parameters: object) -> Fields:
    return {"name": name, "buttonParamsJSON": orjson.dumps(present(**parameters)).decode()}
