"""Answers about labels."""

from gateway.contract.business.tags import (
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
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
from gateway.database.queries import query
from gateway.directory.desk import DirectoryDesk
from gateway.errors import NotFound

_LIST_TAGS = query("directory", "list_tags")
_ADD_TAG = query("directory", "add_tag")
_EDIT_TAG = query("directory", "edit_tag")
_DELETE_TAG = query("directory", "delete_tag")
_PUT_TAG = query("directory", "put_tag")
_TAKE_TAG = query("directory", "take_tag")

handlers = Handlers[DirectoryDesk]()


@handlers.handles(ListTags)
async def list_tags(desk: DirectoryDesk, _asked: ListTags) -> tuple[Tag, ...]:
    rows = await desk.database.fetch_dicts(_LIST_TAGS, instance_id=desk.instance.id)
    return tuple(Tag.model_validate(row) for row in rows)


@handlers.handles(ListTagColors)
async def list_colors(_desk: DirectoryDesk, _asked: ListTagColors) -> dict[str, str]:
    return {str(number): color for number, color in enumerate(COLORS)}


@handlers.handles(CreateTag)
async def create_tag(desk: DirectoryDesk, asked: CreateTag) -> TagCreated:
    """Without a colour it gets the next one."""
    (row,) = await desk.database.fetch_dicts(
        _ADD_TAG,
        instance_id=desk.instance.id,
        name=asked.name,
        color=asked.color,
        colors=len(COLORS),
    )
    return TagCreated(id=row["id"])


@handlers.handles(EditTag)
async def edit_tag(desk: DirectoryDesk, asked: EditTag) -> Success:
    if not await desk.database.execute(
        _EDIT_TAG,
        instance_id=desk.instance.id,
        id=int(asked.tag_id),
        name=asked.name,
        color=asked.color,
    ):
        raise NotFound("There is no such tag")
    return Success()


@handlers.handles(DeleteTag)
async def delete_tag(desk: DirectoryDesk, asked: DeleteTag) -> Success:
    if not await desk.database.execute(
        _DELETE_TAG, instance_id=desk.instance.id, id=int(asked.tag_id)
    ):
        raise NotFound("There is no such tag")
    return Success()


@handlers.handles(AddTag)
async def add_tag(desk: DirectoryDesk, asked: AddTag) -> Value:
    if not await desk.database.execute(
        _PUT_TAG, instance_id=desk.instance.id, phone=asked.phone, id=int(asked.tag)
    ):
        raise NotFound("There is no such tag")
    return Value()


@handlers.handles(RemoveTag)
async def remove_tag(desk: DirectoryDesk, asked: RemoveTag) -> Value:
    taken = await desk.database.execute(
        _TAKE_TAG, instance_id=desk.instance.id, phone=asked.phone, id=int(asked.tag)
    )
    return Value(value=bool(taken))
