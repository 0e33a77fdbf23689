"""Texts, replies and edits."""

from typing import Any

import orjson

from gateway.contract.handlers import Handlers
from gateway.contract.known import KnownMessage
from gateway.contract.messages.text import SendText
from gateway.errors import Refused
from gateway.providers.whatsmeow.jids import jid_of
from gateway.providers.whatsmeow.session import Fields, Outgoing
from gateway.sessions.provider import Attempt, Receipt

sends: Handlers[Outgoing] = Handlers()


@sends.handles(SendText)
async def send_text(outgoing: Outgoing, message: SendText) -> Receipt:
    context = context_of(outgoing.attempt, message.message_id, message.mentioned)
    body: Fields = (
        {"extendedTextMessage": {"text": message.message, "contextInfo": context}}
        if context
        else {"conversation": message.message}
    )
    if message.edit_message_id:
        edited = known(outgoing.attempt, message.edit_message_id)
        body = edit_of(edited, body)
    return await outgoing.deliver(message.phone, body)


def known(attempt: Attempt, message_id: str) -> KnownMessage:
    """An earlier message of this instance; raises Refused where it is none."""
    if found := attempt.referred.get(message_id):
        return found
    raise Refused(f"message {message_id} is not known on this instance")


def key_of(message: KnownMessage) -> Fields:
    """How WhatsApp names a message; in a group, with who wrote it."""
    key: Fields = {
        "remoteJID": jid_of(message.chat),
        "fromMe": message.from_me,
        "ID": message.provider_message_id,
    }
    if message.chat.endswith("-group") and message.sender:
        key["participant"] = jid_of(message.sender)
    return key


def context_of(
    attempt: Attempt, reply_to: str | None, mentioned: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What a message answers and whom it names."""
    context: dict[str, Any] = {}
    if mentioned:
        context["mentionedJID"] = [jid_of(chat) for chat in mentioned]
    if reply_to:
        quoted = known(attempt, reply_to)
        context["stanzaID"] = quoted.provider_message_id
        if quoted.sender:
            context["participant"] = jid_of(quoted.sender)
        context["quotedMessage"] = content_of(quoted)
    return context


def content_of(message: KnownMessage) -> Fields:
    """The message as WhatsApp had it, for quoting and forwarding."""
    if message.provider_data is None:
        return {"conversation": ""}
    fields: Fields = orjson.loads(message.provider_data)["message"]
    return fields


def edit_of(edited: KnownMessage, body: Fields) -> Fields:
    change = {"key": key_of(edited), "type": "MESSAGE_EDIT", "editedMessage": body}
    return {"editedMessage": {"message": {"protocolMessage": change}}}
