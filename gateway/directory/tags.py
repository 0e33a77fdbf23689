"""Handlers of tags, which WhatsApp calls labels."""

import uuid

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
from gateway.contract.zapi.business.tags import (
    COLORS,
    AddTag,
    CreateTag,
    DeleteTag,
    EditTag,
    ListTagColors,
    ListTags,
    RemoveTag,
    Tag,
    TagCreated,
)
from gateway.database.queries import query
from gateway.database.repeating import until_answered
from gateway.directory.context import DirectoryContext
from gateway.errors import NotFound
from gateway.identities.people import names_of

_LIST_TAGS = query("directory", "list_tags")
_ADD_TAG = query("directory", "add_tag")
_EDIT_TAG = query("directory", "edit_tag")
_DELETE_TAG = query("directory", "delete_tag")
_ASSIGN_TAG = query("directory", "assign_tag")
_UNASSIGN_TAG = query("directory", "unassign_tag")

handlers = Handlers[DirectoryContext]()


@handlers.handles(ListTags)
async def list_tags(context: DirectoryContext, _operation: ListTags) -> tuple[Tag, ...]:
    rows = await context.database.fetch_dicts(_LIST_TAGS, instance_id=context.instance.id)
    return tuple(Tag.model_validate(row) for row in rows)


@handlers.handles(ListTagColors)
async def list_colors(_context: DirectoryContext, _operation: ListTagColors) -> dict[str, str]:
    return {str(number): color for number, color in enumerate(COLORS)}


@handlers.handles(CreateTag)
async def create_tag(context: DirectoryContext, operation: CreateTag) -> TagCreated:
    """Gives the tag the next colour if none is given."""
    key = uuid.UUID(bytes=context.random_bytes(16), version=4)

    async def write(_is_repeated: bool) -> str:  # noqa: FBT001 - see until_answered
        (row,) = await context.database.fetch_dicts(
            _ADD_TAG,
            instance_id=context.instance.id,
            key=key,
            name=operation.name,
            color=operation.color,
            colors=len(COLORS),
        )
        return str(row["id"])

    return TagCreated(id=await until_answered(write))


@handlers.handles(EditTag)
async def edit_tag(context: DirectoryContext, operation: EditTag) -> Success:
    if not await context.database.execute(
        _EDIT_TAG,
        instance_id=context.instance.id,
        id=int(operation.tag_id),
        name=operation.name,
        color=operation.color,
    ):
        raise NotFound("This tag does not exist: see GET /tags")
    return Success()


@handlers.handles(DeleteTag)
async def delete_tag(context: DirectoryContext, operation: DeleteTag) -> Success:
    if not await context.database.execute(
        _DELETE_TAG, instance_id=context.instance.id, id=int(operation.tag_id)
    ):
        raise NotFound("This tag does not exist: see GET /tags")
    return Success()


@handlers.handles(AddTag)
async def add_tag(context: DirectoryContext, operation: AddTag) -> Value:
    names = await names_of(context.database, context.instance.id, operation.phone)
    if not await context.database.execute(
        _ASSIGN_TAG, instance_id=context.instance.id, phone=names.chat, id=int(operation.tag)
    ):
        raise NotFound("This tag does not exist: see GET /tags")
    return Value()


@handlers.handles(RemoveTag)
async def remove_tag(context: DirectoryContext, operation: RemoveTag) -> Value:
    names = await names_of(context.database, context.instance.id, operation.phone)
    removed = await context.database.execute(
        _UNASSIGN_TAG, instance_id=context.instance.id, phone=names.chat, id=int(operation.tag)
    )
    return Value(value=bool(removed))
