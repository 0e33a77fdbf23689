"""Privacy settings and the profile of this account.

The library can neither read nor change the lists of excluded people.
"""

from gateway.contract.extensions.privacy import Privacy, ReadPrivacy
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
from gateway.contract.zapi.instances import SetProfileAbout, SetProfileName, SetProfilePicture
from gateway.contract.zapi.privacy import (
    Audience,
    AudienceOperation,
    GroupAudience,
    PrivacyOperation,
    SetDescriptionPrivacy,
    SetGroupAdd,
    SetLastSeen,
    SetMessagesDuration,
    SetOnline,
    SetPhotoPrivacy,
    SetReadReceipts,
)
from gateway.errors import NotSupported
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()

_NANOSECONDS_PER_HOUR = 3_600 * 1_000_000_000
_HOURS = {"days90": 90 * 24, "days7": 7 * 24, "hours24": 24, "disable": 0}
_NAMES: dict[type[PrivacyOperation], str] = {
    SetLastSeen: "last",
    SetPhotoPrivacy: "profile",
    SetDescriptionPrivacy: "status",
}
_AUDIENCES: dict[str, Audience] = {
    "NONE": "NONE",
    "CONTACTS": "CONTACTS",
    "CONTACT_BLACKLIST": "CONTACT_BLACKLIST",
}
_GROUP_AUDIENCES: dict[str, GroupAudience] = {
    "CONTACTS": "CONTACTS",
    "CONTACT_BLACKLIST": "CONTACT_BLACKLIST",
}


@operations.handles(AudienceOperation)
async def set_audience(session: WebSession, operation: AudienceOperation) -> Success:
    return await _set(
        session, operation, _NAMES[type(operation)], operation.visualization_type.lower()
    )


@operations.handles(SetGroupAdd)
async def set_group_add(session: WebSession, operation: SetGroupAdd) -> Success:
    return await _set(session, operation, "groupadd", operation.type.lower())


@operations.handles(SetOnline)
async def set_online(session: WebSession, operation: SetOnline) -> Success:
    value = "all" if operation.visualization_type == "ALL" else "match_last_seen"
    await session.call("set_privacy", name="online", value=value)
    return Success()


@operations.handles(SetReadReceipts)
async def set_read_receipts(session: WebSession, operation: SetReadReceipts) -> Success:
    value = "all" if operation.value == "enable" else "none"
    await session.call("set_privacy", name="readreceipts", value=value)
    return Success()


@operations.handles(SetMessagesDuration)
async def set_duration(session: WebSession, operation: SetMessagesDuration) -> Success:
    await session.call("expire_all", nanoseconds=_HOURS[operation.value] * _NANOSECONDS_PER_HOUR)
    return Success()


@operations.handles(SetProfileName)
async def set_name(session: WebSession, operation: SetProfileName) -> Value:
    await session.call("set_name", value=operation.value)
    return Value()


@operations.handles(SetProfileAbout)
async def set_about(session: WebSession, operation: SetProfileAbout) -> Value:
    await session.call("set_about", value=operation.value)
    return Value()


@operations.handles(SetProfilePicture)
async def set_picture(session: WebSession, operation: SetProfilePicture) -> Value:
    await session.call("set_own_picture", jpeg=await session.picture(operation.value))
    return Value()


@operations.handles(ReadPrivacy)
async def read_privacy(session: WebSession, _pending: ReadPrivacy) -> Privacy:
    """Leaves out the duration of messages, which WhatsApp does not answer."""
    found = await session.call("privacy")
    return Privacy(
        last_seen=_AUDIENCES.get(found["LastSeen"], "ALL"),
        photo=_AUDIENCES.get(found["Profile"], "ALL"),
        description=_AUDIENCES.get(found["Status"], "ALL"),
        group_add=_GROUP_AUDIENCES.get(found["GroupAdd"], "ALL"),
        online="SAME_LAST_SEEN" if found["Online"] == "MATCH_LAST_SEEN" else "ALL",
        read_receipts="disable" if found["ReadReceipts"] == "NONE" else "enable",
        messages_duration=None,
    )


async def _set(session: WebSession, operation: PrivacyOperation, name: str, value: str) -> Success:
    if operation.contacts_blacklist:
        raise NotSupported
    await session.call("set_privacy", name=name, value=value)
    return Success()
