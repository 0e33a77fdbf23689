"""The phone's address book, reports, and the people that a privacy setting excludes."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success
from gateway.contract.zapi.contacts import (
    AddContacts,
    ContactsSaved,
    RemoveContacts,
    ReportContact,
)
from gateway.contract.zapi.privacy import (
    AudienceOperation,
    Disallowed,
    ListDisallowed,
    PrivacyOperation,
    SetDescriptionPrivacy,
    SetGroupAdd,
    SetLastSeen,
    SetPhotoPrivacy,
)
from gateway.whatsapp_web.jids import chat_of, jid_of
from gateway.whatsapp_web.session import VerbFailed, WebSession

operations: Handlers[WebSession] = Handlers()

_LISTS = {"lastSeen": "last", "photo": "profile", "description": "status", "groupAdd": "groupadd"}
_SETTINGS: dict[type[PrivacyOperation], str] = {
    SetLastSeen: "last",
    SetPhotoPrivacy: "profile",
    SetDescriptionPrivacy: "status",
    SetGroupAdd: "groupadd",
}


@operations.handles(AddContacts)
async def add(session: WebSession, operation: AddContacts) -> ContactsSaved:
    errors = []
    for contact in operation.contacts:
        name = f"{contact.first_name} {contact.last_name}".strip()
        try:
            await session.call(
                "save_contact",
                jid=jid_of(contact.phone),
                first_name=contact.first_name,
                full_name=name,
            )
        except VerbFailed as error:
            errors.append(f"{contact.phone}: {error.text}")
    return ContactsSaved(success=not errors, errors=tuple(errors))


@operations.handles(RemoveContacts)
async def remove(session: WebSession, operation: RemoveContacts) -> ContactsSaved:
    errors = []
    for phone in operation.phones:
        try:
            await session.call("remove_contact", jid=jid_of(phone))
        except VerbFailed as error:
            errors.append(f"{phone}: {error.text}")
    return ContactsSaved(success=not errors, errors=tuple(errors))


@operations.handles(ReportContact)
async def report(session: WebSession, operation: ReportContact) -> Success:
    await session.call("report", jid=jid_of(operation.phone))
    return Success()


@operations.handles(ListDisallowed)
async def list_disallowed(session: WebSession, operation: ListDisallowed) -> Disallowed:
    people = await session.call("excluded", name=_LISTS[operation.type])
    return Disallowed(disallowed_contacts=tuple(map(chat_of, people)))


@operations.handles(AudienceOperation)
async def set_audience(session: WebSession, operation: AudienceOperation) -> Success:
    return await _set(session, operation, operation.visualization_type)


@operations.handles(SetGroupAdd)
async def set_group_add(session: WebSession, operation: SetGroupAdd) -> Success:
    return await _set(session, operation, operation.type)


async def _set(session: WebSession, operation: PrivacyOperation, value: str) -> Success:
    name, changes = _SETTINGS[type(operation)], operation.contacts_blacklist
    if changes:
        listed = [{"action": each.action, "jid": jid_of(each.phone)} for each in changes]
        await session.call("exclude", name=name, value=value.lower(), changes=listed)
    else:
        await session.call("set_privacy", name=name, value=value.lower())
    return Success()
