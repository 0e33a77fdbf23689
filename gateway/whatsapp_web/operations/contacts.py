"""People: whether they have WhatsApp, their profile, and blocking them."""

from gateway.contract.handlers import Handlers
from gateway.contract.internal.profile_picture import FoundPicture, LookUpPicture
from gateway.contract.operation import Value
from gateway.contract.zapi.chats import SetChatExpiration, TouchChat
from gateway.contract.zapi.contacts import (
    LookAtProfile,
    LookUpNumber,
    LookUpPhones,
    ModifyBlocked,
    Profile,
)
from gateway.errors import NotSupported, SessionUnavailable
from gateway.whatsapp_web.jids import jid_of, text_of
from gateway.whatsapp_web.session import VerbFailed, WebSession

operations: Handlers[WebSession] = Handlers()

# The library reads a duration as milliseconds and sends it as nanoseconds.
_NANOSECONDS_PER_HOUR = 3_600 * 1_000_000_000
_NO_PICTURE = ("does not have a profile picture", "has hidden their profile picture")
_HOURS = {"24_HOURS": 24, "7_DAYS": 7 * 24, "90_DAYS": 90 * 24, "OFF": 0}


@operations.handles(LookUpPhones)
async def look_up(session: WebSession, operation: LookUpPhones) -> dict[str, str | None]:
    found = await session.call("look_up", phones=[f"+{phone}" for phone in operation.phones])
    if operation.phones and not found:
        raise SessionUnavailable("WhatsApp did not say whether the number exists")
    there = list(dict.fromkeys(answer["JID"]["User"] for answer in found if answer.get("IsIn")))
    if isinstance(operation, LookUpNumber):  # for many phones it would be a request each
        for phone in there:
            await session.call("user", jid=jid_of(phone))
    return {phone: await _lid(session, phone) for phone in there}


async def _lid(session: WebSession, phone: str) -> str | None:
    """Returns the lid; None until WhatsApp has sent something about the person."""
    try:
        return text_of(await session.call("lid_of", jid=jid_of(phone)))
    except VerbFailed:
        return None


@operations.handles(LookAtProfile)
async def look_at(session: WebSession, operation: LookAtProfile) -> Profile:
    """Leaves out what the person hides from this account."""
    jid, about = jid_of(operation.phone), None
    if not jid.endswith("@g.us"):
        users = await session.call("user", jid=jid)
        about = users[0].get("UserInfo", {}).get("Status") if users else None
    try:
        picture = await _picture(session, jid)
    except VerbFailed:
        picture = None
    return Profile(about=about or None, picture=picture)


@operations.handles(LookUpPicture)
async def look_up_picture(session: WebSession, operation: LookUpPicture) -> FoundPicture:
    """Returns nothing where there is no picture, or the person hides it from this account."""
    try:
        return FoundPicture(url=await _picture(session, jid_of(operation.phone)))
    except VerbFailed as error:
        if any(reason in error.text for reason in _NO_PICTURE):
            return FoundPicture()
        raise SessionUnavailable("WhatsApp did not answer for a picture") from error


async def _picture(session: WebSession, jid: str) -> str | None:
    found: str | None = (await session.call("picture", jid=jid)).get("URL")
    return found or None


@operations.handles(ModifyBlocked)
async def modify_blocked(session: WebSession, operation: ModifyBlocked) -> Value:
    await session.call("block", jid=jid_of(operation.phone), action=operation.action)
    return Value()


@operations.handles(SetChatExpiration)
async def set_expiration(session: WebSession, operation: SetChatExpiration) -> Value:
    nanoseconds = _HOURS[operation.chat_expiration] * _NANOSECONDS_PER_HOUR
    await session.call("expire", jid=jid_of(operation.phone), nanoseconds=nanoseconds)
    return Value()


@operations.handles(TouchChat)
async def touch(session: WebSession, operation: TouchChat) -> Value:
    """Supports `read` only: the library cannot send other changes of a chat."""
    if operation.action != "read":
        raise NotSupported
    await mark_unread_as_read(session, operation)
    return Value()


async def mark_unread_as_read(session: WebSession, operation: TouchChat) -> None:
    """Sends the senders of unread messages of a chat their receipts."""
    by_sender: dict[str, list[str]] = {}
    for message in operation.unread:
        by_sender.setdefault(jid_of(message.sender or operation.phone), []).append(message.id)
    for sender, ids in by_sender.items():
        await session.call("mark_read", ids=ids, chat=jid_of(operation.phone), sender=sender)
