"""Handlers of contacts, profiles, and numbers with WhatsApp."""

from dataclasses import dataclass

from gateway.contract.handlers import Handlers
from gateway.contract.spellings import is_phone
from gateway.contract.zapi.contacts import (
    AddContacts,
    CheckedPhone,
    CheckPhone,
    CheckPhones,
    Contact,
    ContactDetails,
    ContactsSaved,
    Existence,
    ListContacts,
    LookAtProfile,
    LookUpNumber,
    LookUpPhones,
    PictureLink,
    Profile,
    ReadContact,
    ReadPicture,
    RemoveContacts,
)
from gateway.database.queries import query
from gateway.directory.context import DirectoryContext
from gateway.errors import NotSupported, SessionUnavailable
from gateway.identities.numbers import every_spelling, number_in, spellings
from gateway.identities.people import chats_of, names_of
from gateway.instances.connections import connection_of

_LIST_CONTACTS = query("directory", "list_contacts")
_FIND_CONTACT = query("directory", "find_contact")
_SAVE_CONTACTS = query("directory", "save_contacts")
_UNSAVE_CONTACTS = query("directory", "unsave_contacts")

_NUMBERS_AT_ONCE = 1_000
_NO_PICTURE = "null"  # as Z-API writes it

handlers = Handlers[DirectoryContext]()


@dataclass(frozen=True, slots=True)
class _Row:
    phone: str
    name: str | None
    short: str | None
    vname: str | None
    notify: str | None


@handlers.handles(ListContacts)
async def list_contacts(context: DirectoryContext, operation: ListContacts) -> tuple[Contact, ...]:
    rows = await context.database.fetch_all(
        _Row,
        _LIST_CONTACTS,
        instance_id=context.instance.id,
        search=operation.search.strip(),
        limit=operation.page_size,
        offset=operation.offset,
    )
    return tuple(
        Contact(phone=r.phone, name=r.name, short=r.short, vname=r.vname, notify=r.notify)
        for r in rows
    )


@handlers.handles(ReadContact)
async def read_contact(context: DirectoryContext, operation: ReadContact) -> ContactDetails:
    """Returns the stored contact, with the profile that the session finds if it is connected."""
    names = await names_of(context.database, context.instance.id, operation.phone)
    row = await context.database.fetch_one(
        _Row, _FIND_CONTACT, instance_id=context.instance.id, phone=names.chat
    )
    shown = await profile_of(context, operation.phone)
    return ContactDetails(
        phone=operation.phone,
        name=row.name if row else None,
        short=row.short if row else None,
        vname=row.vname if row else None,
        notify=(row.notify if row else None) or shown.name,
        img_url=shown.picture,
        about=shown.about,
    )


@handlers.handles(ReadPicture)
async def read_picture(
    context: DirectoryContext, operation: ReadPicture
) -> tuple[PictureLink, ...]:
    phone = operation.phone or await _own_phone(context)
    chat = (await names_of(context.database, context.instance.id, phone)).chat
    shown = await context.router.execute(context.instance, LookAtProfile(phone=chat))
    return (PictureLink(link=shown.picture or _NO_PICTURE),)


async def _own_phone(context: DirectoryContext) -> str:
    connection = await connection_of(context.database, context.instance.id)
    if connection.phone is None:
        raise SessionUnavailable("No phone is linked: name one in phone")
    return connection.phone


@handlers.handles(CheckPhone)
async def check_phone(context: DirectoryContext, operation: CheckPhone) -> Existence:
    phones = spellings(operation.phone)
    found = await context.router.execute(context.instance, LookUpNumber(phones=phones))
    phone = number_in(operation.phone, found)
    return Existence(
        exists=phone is not None, phone=phone or operation.phone, lid=found.get(phone or "")
    )


@handlers.handles(CheckPhones)
async def check_phones(
    context: DirectoryContext, operation: CheckPhones
) -> tuple[CheckedPhone, ...]:
    checked: list[CheckedPhone] = []
    for start in range(0, len(operation.phones), _NUMBERS_AT_ONCE):
        given = operation.phones[start : start + _NUMBERS_AT_ONCE]
        every = tuple(every_spelling(phone for phone in given if is_phone(phone)))
        found = await context.router.execute(context.instance, LookUpPhones(phones=every))
        for phone in given:
            output = number_in(phone, found)
            checked.append(
                CheckedPhone(
                    exists=output is not None,
                    input_phone=phone,
                    output_phone=output or phone,
                    lid=found.get(output or ""),
                )
            )
    return tuple(checked)


@handlers.handles(AddContacts)
async def add_contacts(context: DirectoryContext, operation: AddContacts) -> ContactsSaved:
    saved = await context.router.execute(context.instance, operation)
    refused = {error.partition(" ")[0] for error in saved.errors}
    given = [each for each in operation.contacts if each.phone not in refused]
    chats = await chats_of(context.database, context.instance.id, [each.phone for each in given])
    accepted = {chats[each.phone]: each for each in given}
    await context.database.execute(
        _SAVE_CONTACTS,
        instance_id=context.instance.id,
        phones=list(accepted),
        names=[f"{each.first_name} {each.last_name}".strip() for each in accepted.values()],
        shorts=[each.first_name for each in accepted.values()],
    )
    return saved


@handlers.handles(RemoveContacts)
async def remove_contacts(context: DirectoryContext, operation: RemoveContacts) -> ContactsSaved:
    removed = await context.router.execute(context.instance, operation)
    chats = await chats_of(context.database, context.instance.id, operation.phones)
    await context.database.execute(
        _UNSAVE_CONTACTS, instance_id=context.instance.id, phones=list(chats.values())
    )
    return removed


async def profile_of(context: DirectoryContext, phone: str) -> Profile:
    """Returns the public profile of a person; an empty one if no session can look it up."""
    chat = (await names_of(context.database, context.instance.id, phone)).chat
    try:
        return await context.router.execute(context.instance, LookAtProfile(phone=chat))
    except (NotSupported, SessionUnavailable):
        return Profile()
