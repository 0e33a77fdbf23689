"""The settings of a simulated phone: profile, privacy, security, business."""

from collections.abc import Callable

from pydantic import Field

from gateway.contract.callbacks import NotificationCode
from gateway.contract.extensions.privacy import Privacy, ReadPrivacy
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
from gateway.contract.zapi.business.profile import BusinessProfile
from gateway.contract.zapi.instances import SetProfileAbout, SetProfileName, SetProfilePicture
from gateway.contract.zapi.privacy import (
    AudienceOperation,
    BlacklistChange,
    Disallowed,
    ListDisallowed,
    SetDescriptionPrivacy,
    SetGroupAdd,
    SetLastSeen,
    SetMessagesDuration,
    SetOnline,
    SetPhotoPrivacy,
    SetReadReceipts,
)
from gateway.providers.sandbox.entities import Answer, Entity
from gateway.providers.sandbox.numbers import picture_of
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.stored_events import event_body
from gateway.sessions.provider import Notified

operations: Handlers[SandboxSession] = Handlers()

SELF = "self"
_AUDIENCES: dict[type[AudienceOperation], tuple[str, str]] = {
    SetLastSeen: ("last_seen", "lastSeen"),
    SetPhotoPrivacy: ("photo", "photo"),
    SetDescriptionPrivacy: ("description", "description"),
}


class PhoneAccount(Entity):
    """The settings of one phone."""

    kind = "account"

    name: str = "Sandbox"
    about: str = "A simulated phone."
    picture: str | None = None
    privacy: Privacy = Field(default_factory=Privacy)
    excluded: dict[str, list[str]] = Field(default_factory=dict)
    blocked: list[str] = Field(default_factory=list)
    expirations: dict[str, str] = Field(default_factory=dict)
    pictures: dict[str, str | None] = Field(default_factory=dict)
    """The pictures of simulated people that were changed, by number; None: there is none."""
    business: BusinessProfile = Field(default_factory=BusinessProfile)
    cart_enabled: bool = True
    email: str | None = None
    email_verified: bool = False
    pin: str | None = None
    sip_token: str | None = None
    registering: str | None = None


async def account_of(session: SandboxSession, instance_id: str | None = None) -> PhoneAccount:
    """Returns the account of the session's phone, or of another instance."""
    stored = await session.context.entities.find(
        PhoneAccount, SELF, of=instance_id or session.spec.instance_id
    )
    return stored.entity if stored else PhoneAccount()


async def change_account(
    session: SandboxSession, alter: Callable[[PhoneAccount], Answer], *, linked: bool = True
) -> Answer:
    """Changes the account of the session's phone; *linked* requires a connected phone."""
    if linked:
        await session.own_phone()
    return await session.context.entities.change(
        PhoneAccount, SELF, alter, of=session.spec.instance_id, missing=PhoneAccount
    )


@operations.handles(SetProfileName)
async def set_name(session: SandboxSession, operation: SetProfileName) -> Value:
    return await _set_profile(
        session, "name", operation.value, "PROFILE_NAME_UPDATED", profileName=operation.value
    )


@operations.handles(SetProfileAbout)
async def set_about(session: SandboxSession, operation: SetProfileAbout) -> Value:
    def alter(account: PhoneAccount) -> Value:
        account.about = operation.value
        return Value()

    return await change_account(session, alter)


@operations.handles(SetProfilePicture)
async def set_picture(session: SandboxSession, operation: SetProfilePicture) -> Value:
    picture = picture_of(operation.value)
    return await _set_profile(
        session, "picture", picture, "PROFILE_PICTURE_UPDATED", updatedPhoto=picture
    )


async def _set_profile(
    session: SandboxSession, field: str, value: str, code: NotificationCode, **further: str
) -> Value:
    me = await session.own_phone()

    def alter(account: PhoneAccount) -> Value:
        setattr(account, field, value)
        changed = Notified(
            code,
            me,
            session.context.clock.now(),
            parameters=None,
            details=further,
            from_me=True,
        )
        account.emit([me], event_body(changed))
        return Value()

    return await change_account(session, alter)


@operations.handles(AudienceOperation)
async def set_audience(session: SandboxSession, operation: AudienceOperation) -> Success:
    field, listed_as = _AUDIENCES[type(operation)]
    return await _set_privacy(
        session, field, operation.visualization_type, listed_as, operation.contacts_blacklist
    )


@operations.handles(SetGroupAdd)
async def set_group_add(session: SandboxSession, operation: SetGroupAdd) -> Success:
    return await _set_privacy(
        session, "group_add", operation.type, "groupAdd", operation.contacts_blacklist
    )


@operations.handles(SetOnline)
async def set_online(session: SandboxSession, operation: SetOnline) -> Success:
    return await _set_privacy(session, "online", operation.visualization_type)


@operations.handles(SetReadReceipts)
async def set_read_receipts(session: SandboxSession, operation: SetReadReceipts) -> Success:
    return await _set_privacy(session, "read_receipts", operation.value)


@operations.handles(SetMessagesDuration)
async def set_duration(session: SandboxSession, operation: SetMessagesDuration) -> Success:
    return await _set_privacy(session, "messages_duration", operation.value)


async def _set_privacy(
    session: SandboxSession,
    field: str,
    value: str,
    listed_as: str = "",
    changes: tuple[BlacklistChange, ...] = (),
) -> Success:
    def alter(account: PhoneAccount) -> Success:
        account.privacy = account.privacy.model_copy(update={field: value})
        listed = account.excluded.setdefault(listed_as, []) if changes else []
        for change in changes:
            if change.action == "remove" and change.phone in listed:
                listed.remove(change.phone)
            elif change.action == "add" and change.phone not in listed:
                listed.append(change.phone)
        return Success()

    return await change_account(session, alter)


@operations.handles(ListDisallowed)
async def list_disallowed(session: SandboxSession, operation: ListDisallowed) -> Disallowed:
    await session.own_phone()
    excluded = (await account_of(session)).excluded.get(operation.type, ())
    return Disallowed(disallowed_contacts=tuple(excluded))


@operations.handles(ReadPrivacy)
async def read_privacy(session: SandboxSession, _operation: ReadPrivacy) -> Privacy:
    await session.own_phone()
    return (await account_of(session)).privacy
