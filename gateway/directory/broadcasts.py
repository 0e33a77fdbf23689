"""Handlers of broadcast lists."""

from dataclasses import dataclass

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.broadcasts import (
    LIST_ENDING,
    MAX_LISTS,
    BroadcastList,
    CreateBroadcast,
    DeleteBroadcast,
    ListBroadcasts,
    UpdateBroadcast,
)
from gateway.database.queries import query
from gateway.directory.context import DirectoryContext
from gateway.errors import Conflict, NotFound

_ADD_LIST = query("directory", "add_broadcast_list")
_LIST_LISTS = query("directory", "list_broadcast_lists")
_REPLACE_LIST = query("directory", "replace_broadcast_list")
_DELETE_LIST = query("directory", "delete_broadcast_list")
_WHATSAPPS_ENDING = "@broadcast"
_FIRST_ID, _IDS = 10**14, 9 * 10**14
_ID_BYTES = 8

handlers = Handlers[DirectoryContext]()


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    name: str
    phones: tuple[str, ...]

    def shown(self) -> BroadcastList:
        chat = self.id + _WHATSAPPS_ENDING
        return BroadcastList(broadcast_id=chat, id=chat, name=self.name, phones=self.phones)


@handlers.handles(CreateBroadcast)
async def create(context: DirectoryContext, operation: CreateBroadcast) -> BroadcastList:
    number = int.from_bytes(context.random_bytes(_ID_BYTES)) % _IDS
    row = _Row(str(_FIRST_ID + number), operation.name, operation.phones)
    if not await context.database.execute(
        _ADD_LIST,
        instance_id=context.instance.id,
        id=row.id,
        name=row.name,
        phones=list(row.phones),
        max_count=MAX_LISTS,
    ):
        raise Conflict(f"The instance has {MAX_LISTS} broadcast lists, and cannot have more")
    return row.shown()


@handlers.handles(ListBroadcasts)
async def list_all(
    context: DirectoryContext, operation: ListBroadcasts
) -> tuple[BroadcastList, ...]:
    rows = await context.database.fetch_all(
        _Row,
        _LIST_LISTS,
        instance_id=context.instance.id,
        limit=operation.page_size,
        offset=operation.offset,
    )
    return tuple(row.shown() for row in rows)


@handlers.handles(UpdateBroadcast)
async def update(context: DirectoryContext, operation: UpdateBroadcast) -> Value:
    if not await context.database.execute(
        _REPLACE_LIST,
        instance_id=context.instance.id,
        id=operation.broadcast_id.removesuffix(LIST_ENDING),
        name=operation.name,
        phones=list(operation.phones),
    ):
        raise NotFound("Broadcast list not found")
    return Value()


@handlers.handles(DeleteBroadcast)
async def delete(context: DirectoryContext, operation: DeleteBroadcast) -> Value:
    if not await context.database.execute(
        _DELETE_LIST,
        instance_id=context.instance.id,
        id=operation.broadcast_id.removesuffix(LIST_ENDING),
    ):
        raise NotFound("Broadcast list not found")
    return Value()
