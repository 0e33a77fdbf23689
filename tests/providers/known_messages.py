"""Earlier messages, as later ones refer to them."""

from gateway.contract.known import KnownMessage
from gateway.sessions.provider import MessageReceived, Receipt


def own(our_id: str, chat: str, receipt: Receipt) -> KnownMessage:
    """A sent message."""
    return KnownMessage(
        our_id,
        receipt.provider_message_id,
        chat,
        None,
        from_me=True,
        type="",
        payload={},
        provider_data=receipt.provider_data,
    )


def known_of(message: MessageReceived, our_id: str) -> KnownMessage:
    """A received message."""
    return KnownMessage(
        message_id=our_id,
        provider_message_id=message.provider_message_id,
        chat=message.chat,
        sender=message.sender,
        from_me=message.from_me,
        type=message.kind,
        payload=message.content,
        provider_data=message.provider_data,
    )
