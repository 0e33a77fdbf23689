"""Messages about another message: reactions, forwarded messages and pins."""

import time

from gateway.contract.handlers import Handlers
from gateway.contract.zapi.messages.message_actions import ForwardMessage, PinMessage
from gateway.contract.zapi.messages.reactions import Reaction
from gateway.sessions.provider import Receipt
from gateway.whatsapp_web.messages.parts import content_of, key_of, known
from gateway.whatsapp_web.session import Fields, SendContext

sends: Handlers[SendContext] = Handlers()


@sends.handles(Reaction)
async def send_reaction(outgoing: SendContext, message: Reaction) -> Receipt:
    """Sends a reaction; an empty emoji removes it."""
    reaction = {
        "key": key_of(known(outgoing.attempt, message.message_id)),
        "text": message.emoji,
        "senderTimestampMS": _now_ms(),
    }
    return await outgoing.deliver(message.phone, {"reactionMessage": reaction})


@sends.handles(ForwardMessage)
async def forward_message(outgoing: SendContext, message: ForwardMessage) -> Receipt:
    body = dict(content_of(known(outgoing.attempt, message.message_id)))
    if text := body.pop("conversation", None):
        body = {"extendedTextMessage": {"text": text}}
    body.pop("messageContextInfo", None)
    forwarded = {"isForwarded": True, "forwardingScore": 1}
    for name, content in body.items():
        if name.endswith("Message") and isinstance(content, dict):
            body[name] = {**content, "contextInfo": forwarded}
    return await outgoing.deliver(message.phone, body)


@sends.handles(PinMessage)
async def pin_message(outgoing: SendContext, message: PinMessage) -> Receipt:
    seconds = message.pinned_seconds
    pin: Fields = {
        "key": key_of(known(outgoing.attempt, message.message_id)),
        "type": "PIN_FOR_ALL" if seconds else "UNPIN_FOR_ALL",
        "senderTimestampMS": _now_ms(),
    }
    lasting = {"messageContextInfo": {"messageAddOnDurationInSecs": seconds or 0}}
    return await outgoing.deliver(message.phone, {"pinInChatMessage": pin, **lasting})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
