"""Broadcast lists: one message to each of several people."""

from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Documented, Example
from gateway.contract.operation import Operation, Value
from gateway.contract.paging import Paged
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Chat, Phone, Wire

MAX_MEMBERS: Final = 256
MAX_LISTS: Final = 100
LIST_ENDING: Final = "-broadcast"
_NOT_FOUND, _CONFLICT = 404, 409
_ID = "170000000012345@broadcast"
_PHONES = ["5511999999999", "5511888888888"]


def _only_list(chat: str) -> str:
    if not chat.endswith(LIST_ENDING):
        raise PydanticCustomError(
            "broadcast_id", "must be the id of a broadcast list, such as 170000000012345@broadcast"
        )
    return chat


def _each_once(phones: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(phones))


_ListId = Annotated[Chat, AfterValidator(_only_list)]
_Members = Annotated[
    tuple[Phone, ...], Field(min_length=1, max_length=MAX_MEMBERS), AfterValidator(_each_once)
]
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class BroadcastList(Wire):
    """A list and its members; `broadcastId`, also in `id`, is the `phone` to send to."""

    broadcast_id: str
    id: str
    name: str
    phones: tuple[str, ...]


_SHOWN: Example = {"broadcastId": _ID, "id": _ID, "name": "Customers", "phones": _PHONES}


class CreateBroadcast(Operation[BroadcastList], method="POST", path="/broadcast"):
    """Creates a list of up to 256 numbers, at most 100 lists for each instance.

    The gateway has the list, not the phone: WhatsApp's own lists cannot be used by a linked device.
    A message whose `phone` is the list's id enters the queue once for each member, as a message of
    its own with its own pace, callbacks and ids. The answer has those of the first member, and
    `messages` those of each, or the reason why the queue did not take it.
    """

    scope = ApiScope.SEND
    unconfirmed = ("/broadcast",)
    failures = (_CONFLICT,)
    example: ClassVar[Example] = {"name": "Customers", "phones": _PHONES}
    answer_example: ClassVar[Any] = _SHOWN

    name: _Name
    phones: _Members


class ListBroadcasts(Operation[tuple[BroadcastList, ...]], Paged, method="GET", path="/broadcast"):
    """The lists of the instance, oldest first."""

    scope = ApiScope.READ
    unconfirmed = ("/broadcast",)
    example: ClassVar[Example] = {"page": 1, "pageSize": 20}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = [_SHOWN]


class BroadcastOperation(Documented):
    """Names one list."""

    unconfirmed = ("/broadcast/{broadcastId}",)
    example: ClassVar[Example] = {"broadcastId": _ID}
    failures: ClassVar[tuple[int, ...]] = (_NOT_FOUND,)

    broadcast_id: _ListId


class UpdateBroadcast(
    BroadcastOperation, Operation[Value], method="PUT", path="/broadcast/{broadcast_id}"
):
    """Replaces the members of a list, and its name where one is given."""

    scope = ApiScope.SEND
    example_minimal: ClassVar[Example] = {"broadcastId": _ID, "phones": _PHONES}
    example: ClassVar[Example] = {"broadcastId": _ID, "name": "Friends", "phones": _PHONES}
    answer_example: ClassVar[Any] = {"value": True}

    phones: _Members
    name: Annotated[_Name | None, BeforeValidator(lambda value: value or None)] = None


class DeleteBroadcast(
    BroadcastOperation, Operation[Value], method="DELETE", path="/broadcast/{broadcast_id}"
):
    """Deletes a list; what is queued for its members is sent."""

    scope = ApiScope.SEND
    answer_example: ClassVar[Any] = {"value": True}
