"""Declaring an operation: a class with a method, a path and a result."""

from collections.abc import Iterator
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, cast

from gateway.contract.wire import Incoming, Wire

Result = TypeVar("Result")
Method = Literal["GET", "POST", "PUT", "DELETE"]


class Address(NamedTuple):
    """Where a caller finds an operation; the path is relative to the instance."""

    method: Method
    path: str


class Operation(Incoming, Generic[Result]):
    """Something asked and answered now, by the live session or by our own tables.

    `also` lists further addresses at which real clients call it; `answer_status` is the HTTP
    status of its answer.
    """

    address: ClassVar[Address | None] = None
    also: ClassVar[tuple[Address, ...]] = ()
    answer_status: ClassVar[int] = 200

    def __init_subclass__(
        cls,
        *,
        method: Method | None = None,
        path: str | None = None,
        also: tuple[Address, ...] = (),
        answer_status: int = 200,
    ) -> None:
        super().__init_subclass__()
        cls.address = Address(method, path) if method and path else None
        cls.also, cls.answer_status = also, answer_status

    @classmethod
    def result_type(cls) -> type[Any]:
        """The `Result` this operation was declared with."""
        for base in cls.__mro__:
            if arguments := base.__dict__.get("__pydantic_generic_metadata__", {}).get("args"):
                return cast("type[Any]", arguments[0])
        raise TypeError(f"{cls.__name__} declares no result")


class Value(Wire):
    """The answer `{"value": true}`."""

    value: bool = True


def declared_operations(family: type[Operation[Any]] = Operation) -> Iterator[type[Operation[Any]]]:
    """Every operation with an address, however deep its family."""
    for subclass in family.__subclasses__():
        if subclass.address is not None:
            yield subclass
        yield from declared_operations(subclass)
