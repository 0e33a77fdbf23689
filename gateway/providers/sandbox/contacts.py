"""Contacts of the simulated phone: address book, profiles, blocking, numbers."""

from gateway.contract.handlers import Handlers
from gateway.contract.internal.profile_picture import FoundPicture, LookUpPicture
from gateway.contract.operation import Success, Value
from gateway.contract.spellings import is_group
from gateway.contract.zapi.chats import SetChatExpiration, TouchChat
from gateway.contract.zapi.contacts import (
    AddContacts,
    ContactsSaved,
    LookAtProfile,
    LookUpPhones,
    ModifyBlocked,
    Profile,
    RemoveContacts,
    ReportContact,
)
from gateway.providers.sandbox.account import PhoneAccount, account_of, change_account
from gateway.providers.sandbox.groups import Group
from gateway.providers.sandbox.numbers import lid_of, picture_of, registered
from gateway.providers.sandbox.session import SandboxSession

operations: Handlers[SandboxSession] = Handlers()


@operations.handles(AddContacts)
async def add(session: SandboxSession, operation: AddContacts) -> ContactsSaved:
    """Returns the contacts that have no WhatsApp; the gateway itself stores the address book."""
    await session.own_phone()
    errors = tuple(
        f"{contact.phone} has no WhatsApp"
        for contact in operation.contacts
        if registered(contact.phone) is None
    )
    return ContactsSaved(success=not errors, errors=errors)


@operations.handles(RemoveContacts)
async def remove(session: SandboxSession, _operation: RemoveContacts) -> ContactsSaved:
    await session.own_phone()
    return ContactsSaved()


@operations.handles(LookUpPhones)
async def look_up(session: SandboxSession, operation: LookUpPhones) -> dict[str, str | None]:
    await session.own_phone()
    linked = await session.context.entities.linked(operation.phones)
    return {
        phone: lid_of(phone) for phone in operation.phones if phone in linked or registered(phone)
    }


@operations.handles(LookAtProfile)
async def look_at(session: SandboxSession, operation: LookAtProfile) -> Profile:
    """Shows what another instance's privacy allows.

    A number without an instance shows only a picture, whose link leads nowhere.
    """
    me = await session.own_phone()
    owner = await session.context.entities.owner_of(operation.phone)
    if owner is None:
        return Profile(picture=await _made_up_picture(session, operation.phone))
    account = await account_of(session, owner)
    is_me = operation.phone == me
    return Profile(
        name=account.name,
        about=account.about if _shows(account, "description", "description", me) else None,
        picture=account.picture if is_me or _shows(account, "photo", "photo", me) else None,
    )


@operations.handles(LookUpPicture)
async def look_up_picture(session: SandboxSession, operation: LookUpPicture) -> FoundPicture:
    profile = await look_at(session, LookAtProfile(phone=operation.phone))
    return FoundPicture(url=profile.picture)


async def _made_up_picture(session: SandboxSession, phone: str) -> str | None:
    """Returns the picture of a group, or of a simulated person."""
    if is_group(phone):
        stored = await session.context.entities.find(Group, phone)
        return stored.entity.picture if stored else None
    changed = (await account_of(session)).pictures
    if phone in changed:
        return changed[phone]
    return picture_of(phone) if registered(phone) else None


@operations.handles(ModifyBlocked)
async def modify_blocked(session: SandboxSession, operation: ModifyBlocked) -> Value:
    def alter(account: PhoneAccount) -> Value:
        account.blocked = [phone for phone in account.blocked if phone != operation.phone]
        if operation.action == "block":
            account.blocked.append(operation.phone)
        return Value()

    return await change_account(session, alter)


@operations.handles(ReportContact)
async def report(session: SandboxSession, _operation: ReportContact) -> Success:
    await session.own_phone()
    return Success()


@operations.handles(TouchChat)
async def touch(session: SandboxSession, _operation: TouchChat) -> Value:
    """Only checks that the phone is connected: the gateway itself stores the state of chats."""
    await session.own_phone()
    return Value()


@operations.handles(SetChatExpiration)
async def set_expiration(session: SandboxSession, operation: SetChatExpiration) -> Value:
    def alter(account: PhoneAccount) -> Value:
        account.expirations.pop(operation.phone, None)
        if operation.chat_expiration != "OFF":
            account.expirations[operation.phone] = operation.chat_expiration
        return Value()

    return await change_account(session, alter)


def _shows(account: PhoneAccount, field: str, listed_as: str, me: str) -> bool:
    audience = getattr(account.privacy, field)
    if audience == "CONTACT_BLACKLIST":
        return me not in account.excluded.get(listed_as, ())
    return bool(audience == "ALL")
