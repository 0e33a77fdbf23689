"""Texts, links and text statuses."""

from gateway.contract.handlers import Handlers
from gateway.contract.spellings import is_group
from gateway.contract.zapi.messages.text import SendLink, SendText
from gateway.contract.zapi.status import ReplyStatusText, SendTextStatus
from gateway.sessions.provider import Receipt
from gateway.whatsapp_web.jids import chat_of, jid_of, text_of
from gateway.whatsapp_web.messages.parts import (
    base64_of,
    context_of,
    edit_of,
    known,
    present,
)
from gateway.whatsapp_web.session import Fields, SendContext

sends: Handlers[SendContext] = Handlers()


@sends.handles(SendText)
async def send_text(outgoing: SendContext, message: SendText) -> Receipt:
    mentioned = (*message.mentioned, *await _everyone(outgoing, message))
    context = context_of(outgoing.attempt, message.message_id, mentioned)
    if message.group_mentioned:
        named = [
            {"groupJID": jid_of(group.phone), "groupSubject": group.subject}
            for group in message.group_mentioned
        ]
        context = {"contextInfo": {**context.get("contextInfo", {}), "groupMentions": named}}
    body: Fields = {"conversation": message.message}
    if context:
        body = {"extendedTextMessage": {"text": message.message, **context}}
    if message.edit_message_id:
        body = edit_of(known(outgoing.attempt, message.edit_message_id), body)
    chat = message.phone
    if message.private_answer and message.message_id:
        chat = known(outgoing.attempt, message.message_id).sender or chat
    return await outgoing.deliver(chat, body)


async def _everyone(outgoing: SendContext, message: SendText) -> list[str]:
    """Returns the members of the group, where all are mentioned."""
    if not (message.mention_all and is_group(message.phone)):
        return []
    group = await outgoing.session.call("group", jid=jid_of(message.phone))
    return [chat_of(text_of(each["JID"]) or "") for each in group.get("Participants", ())]


@sends.handles(SendLink)
async def send_link(outgoing: SendContext, message: SendLink) -> Receipt:
    page = outgoing.attempt.preview
    picture = outgoing.attempt.media.get(message.image or "") or (page.image if page else None)
    shown = (picture.thumbnail or picture.path.read_bytes()) if picture else None
    card = present(
        text=message.message,
        matchedText=message.link_url,
        title=message.title or (page and page.title),
        description=message.link_description or (page and page.description),
        JPEGThumbnail=base64_of(shown) if shown else None,
    )
    return await outgoing.deliver(message.phone, {"extendedTextMessage": card})


@sends.handles(SendTextStatus)
async def send_text_status(outgoing: SendContext, message: SendTextStatus) -> Receipt:
    return await outgoing.deliver(message.phone, {"extendedTextMessage": {"text": message.message}})


@sends.handles(ReplyStatusText)
async def reply_status_text(outgoing: SendContext, message: ReplyStatusText) -> Receipt:
    context = context_of(outgoing.attempt, message.status_message_id)
    return await outgoing.deliver(
        message.phone, {"extendedTextMessage": {"text": message.message, **context}}
    )
