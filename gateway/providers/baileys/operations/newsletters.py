"""Channels of this number: their texts, picture, rules and administrators."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
from gateway.contract.zapi.newsletters import (
    DeleteNewsletter,
    DescribeNewsletter,
    RemoveNewsletterAdmin,
    RenameNewsletter,
    SetNewsletterPicture,
    SetNewsletterRules,
    TransferNewsletter,
    Transferred,
)
from gateway.errors import InvalidRequest
from gateway.whatsapp_web.jids import jid_of, text_of
from gateway.whatsapp_web.session import VerbFailed, WebSession

operations: Handlers[WebSession] = Handlers()


@operations.handles(DeleteNewsletter)
async def delete(session: WebSession, operation: DeleteNewsletter) -> Value:
    await session.call("delete_channel", jid=operation.id)
    return Value()


@operations.handles(RenameNewsletter)
async def rename(session: WebSession, operation: RenameNewsletter) -> Value:
    await session.call("rename_channel", jid=operation.id, name=operation.name)
    return Value()


@operations.handles(DescribeNewsletter)
async def describe(session: WebSession, operation: DescribeNewsletter) -> Value:
    await session.call("describe_channel", jid=operation.id, text=operation.description)
    return Value()


@operations.handles(SetNewsletterPicture)
async def set_picture(session: WebSession, operation: SetNewsletterPicture) -> Value:
    jpeg = await session.picture(operation.picture_url)
    await session.call("set_channel_picture", jid=operation.id, jpeg=jpeg)
    return Value()


@operations.handles(SetNewsletterRules)
async def set_rules(session: WebSession, operation: SetNewsletterRules) -> Success:
    value = operation.reaction_codes.upper()
    await session.call("set_channel_reactions", jid=operation.newsletter_id, value=value)
    return Success()


@operations.handles(RemoveNewsletterAdmin)
async def remove_admin(session: WebSession, operation: RemoveNewsletterAdmin) -> Value:
    user = await _lid_of(session, operation.phone)
    await session.call("demote_channel_admin", jid=operation.newsletter_id, user=user)
    return Value()


@operations.handles(TransferNewsletter)
async def transfer(session: WebSession, operation: TransferNewsletter) -> Transferred:
    user = await _lid_of(session, operation.phone)
    try:
        await session.call("transfer_channel", jid=operation.newsletter_id, user=user)
    except VerbFailed as error:
        return Transferred(value=False, message=error.text)
    return Transferred()


async def _lid_of(session: WebSession, phone: str) -> str:
    """Returns the lid of a person, by which WhatsApp names people in channels."""
    try:
        return text_of(await session.call("lid_of", jid=jid_of(phone))) or jid_of(phone)
    except VerbFailed:
        raise InvalidRequest(f"phone: {phone} is not on WhatsApp") from None
