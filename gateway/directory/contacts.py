"""Answers about people."""

from dataclasses import dataclass

from gateway.contract.handlers import Handlers
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
from gateway.directory.numbers import spellings
from gateway.errors import NotSupported, SessionUnavailable

_LIST_CONTACTS = query("directory", "list_contacts")
_FIND_CONTACT = query("directory", "find_contact")
_SAVE_CONTACTS = query("directory", "save_contacts")
_UNSAVE_CONTACTS = query("directory", "unsave_contacts")

_NUMBERS_AT_ONCE = 1_000
_NO_PICTURE = "null"  # so Z-API writes it

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
    """What we know, and what the session adds to it, where it is within reach."""
    row = await context.database.fetch_one(
        _Row, _FIND_CONTACT, instance_id=context.instance.id, phone=operation.phone
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
    shown = await context.router.execute(context.instance, LookAtProfile(phone=operation.phone))
    return (PictureLink(link=shown.picture or _NO_PICTURE),)


@handlers.handles(CheckPhone)
async def check_phone(context: DirectoryContext, operation: CheckPhone) -> Existence:
    ways = spellings(operation.phone)
    found = await context.router.execute(context.instance, LookUpNumber(phones=ways))
    way = next((way for way in ways if way in found), None)
    return Existence(exists=way is not None, phone=way or operation.phone, lid=found.get(way or ""))


@handlers.handles(CheckPhones)
async def check_phones(
    context: DirectoryContext, operation: CheckPhones
) -> tuple[CheckedPhone, ...]:
    checked: list[CheckedPhone] = []
    for start in range(0, len(operation.phones), _NUMBERS_AT_ONCE):
        ways = {
            phone: spellings(phone) for phone in operation.phones[start : start + _NUMBERS_AT_ONCE]
        }
        every_way = tuple(dict.fromkeys(way for some in ways.values() for way in some))
        found = await context.router.execute(context.instance, LookUpPhones(phones=every_way))
        for phone in operation.phones[start : start + _NUMBERS_AT_ONCE]:
            way = next((way for way in ways[phone] if way in found), None)
            checked.append(
                CheckedPhone(
                    exists=way is not None,
                    input_phone=phone,
                    output_phone=way or phone,
                    lid=found.get(way or ""),
                )
            )
    return tuple(checked)


@handlers.handles(AddContacts)
async def add_contacts(context: DirectoryContext, operation: AddContacts) -> ContactsSaved:
    saved = await context.router.execute(context.instance, operation)
    refused = {error.partition(" ")[0] for error in saved.errors}
    kept = {each.phone: each for each in operation.contacts if each.phone not in refused}
    await context.database.execute(
        _SAVE_CONTACTS,
        instance_id=context.instance.id,
        phones=list(kept),
        names=[f"{each.first_name} {each.last_name}".strip() for each in kept.values()],
        shorts=[each.first_name for each in kept.values()],
    )
    return saved


@handlers.handles(RemoveContacts)
async def remove_contacts(context: DirectoryContext, operation: RemoveContacts) -> ContactsSaved:
    removed = await context.router.execute(context.instance, operation)
    await context.database.execute(
        _UNSAVE_CONTACTS, instance_id=context.instance.id, phones=list(operation.phones)
    )
    return removed


async def profile_of(context: DirectoryContext, phone: str) -> Profile:
    """What the other side shows; nothing, where nobody can be asked."""
    try:
        return await context.router.execute(context.instance, LookAtProfile(phone=phone))
    except (NotSupported, SessionUnavailable):
        return Profile()
