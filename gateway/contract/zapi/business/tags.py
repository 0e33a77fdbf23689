"""Labels of a business, and the chats they are on."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from gateway.contract.documented import Example
from gateway.contract.operation import Operation, Success, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Chat, Matching, Wire

COLORS = (
    "#FF9485",
    "#64C4FF",
    "#FFD429",
    "#DFAEF0",
    "#99B6C1",
    "#55CCB3",
    "#FF9DFF",
    "#D3A91D",
    "#6D7CCE",
    "#D7E752",
    "#00D0E2",
    "#FFC5C7",
    "#93CEAC",
    "#F74848",
    "#00A0F2",
    "#83E422",
    "#FFAF04",
    "#B5EBFF",
    "#9BA6FF",
    "#9368CF",
)
_PHONE = "5511999999999"
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
_Color = Annotated[int, Field(ge=0, lt=len(COLORS))]
_Id = Annotated[str, Matching(r"^\d{1,18}$", "must be an id of digits")]


class Tag(Wire):
    """A label; `color` is the number of one of the colours."""

    id: str
    name: str
    color: int


class ListTags(Operation[tuple[Tag, ...]], method="GET", path="/tags"):
    """The labels there are."""

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = [{"id": "1", "name": "New customer", "color": 1}]


class ListTagColors(Operation[dict[str, str]], method="GET", path="/business/tags/colors"):
    """The colours a label can have, by number."""

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = {"0": "#FF9485", "1": "#64C4FF"}


class TagCreated(Wire):
    """The new label."""

    id: str


class CreateTag(Operation[TagCreated], method="POST", path="/business/create-tag"):
    """Makes a label."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"name": "New customer", "color": 1}
    example_minimal: ClassVar[Example] = {"name": "New customer"}
    answer_example: ClassVar[Any] = {"id": "10"}

    name: _Name
    color: _Color | None = None


class EditTag(Operation[Success], method="POST", path="/business/edit-tag/{tag_id}"):
    """Changes a label."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"tagId": "10", "name": "Old customer", "color": 2}
    example_minimal: ClassVar[Example] = {"tagId": "10", "name": "Old customer"}
    failures = (404,)

    tag_id: _Id
    name: _Name
    color: _Color | None = None


class DeleteTag(Operation[Success], method="DELETE", path="/business/tag/{tag_id}"):
    """Removes a label, also from the chats it is on."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"tagId": "10"}
    failures = (404,)

    tag_id: _Id


class TagOnChat(Operation[Value]):
    """About a label on a chat."""

    example: ClassVar[Example] = {"phone": _PHONE, "tag": "10"}
    answer_example: ClassVar[Any] = {"value": True}
    failures = (404,)

    phone: Chat
    tag: _Id


class AddTag(TagOnChat, method="PUT", path="/chats/{phone}/tags/{tag}/add"):
    """Puts a label on a chat."""

    scope = ApiScope.SEND


class RemoveTag(TagOnChat, method="PUT", path="/chats/{phone}/tags/{tag}/remove"):
    """Takes a label off a chat; false where it was not on it."""

    scope = ApiScope.SEND
