"""The base class of callbacks."""

from collections.abc import Mapping
from typing import Any, ClassVar

from gateway.contract.wire import Wire

CONNECTION_CHAT = "connection"
"""Events of the connection have an order of their own, beside those of the chats."""

Example = Mapping[str, Any]


class Callback(Wire):
    """A body posted to a webhook; `example` is a whole one."""

    example: ClassVar[Example] = {}

    instance_id: str

    @classmethod
    def examples(cls) -> Mapping[str, Example]:
        """Whole bodies by the name of what they show."""
        return {cls.__name__: cls.example}

    def body(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_none=True)


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON is what it is
    """The same JSON without the keys that have no value, however deep."""
    if isinstance(value, Mapping):
        return {k: without_nulls(item) for k, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(item) for item in value]
    return value
