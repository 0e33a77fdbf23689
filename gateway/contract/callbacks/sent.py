"""The callback of a message that the API has sent, for instances with `notifySentByMe`."""

from gateway.contract.callbacks.received import ReceivedCallback
from gateway.contract.echo import EchoContext
from gateway.contract.send import OutgoingMessage
from gateway.contract.spellings import is_group


def sent_callback_body(
    message: OutgoingMessage, context: EchoContext, *, instance_id: str
) -> str | None:
    """A ReceivedCallback as JSON, without the fields that only the database knows.

    None where the message has nothing that a callback could show.
    """
    content = message.echo(context)
    if content is None:
        return None
    edited_id = message.edited_id()
    callback = ReceivedCallback(
        instance_id=instance_id,
        momment=context.at_ms,
        message_id=edited_id or context.message_id,
        track_id=message.track_id,
        edit_message_id=context.message_id if edited_id else None,
        is_edit=edited_id is not None,
        phone=message.phone,
        reference_message_id=message.replied_id(),
        status="SENT",
        from_me=True,
        from_api=True,
        is_group=is_group(message.phone),
        is_newsletter=message.phone.endswith("@newsletter"),
        is_status_reply=message.is_status_reply,
        broadcast=message.phone.endswith("-broadcast"),
        forwarded=message.is_forwarded,
    )
    return callback.body_with(content)
