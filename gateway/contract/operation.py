"""Declaring an operation: a class with a method, a path and a result."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, cast

from pydantic import ConfigDict

from gateway.contract.documented import Documented
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire

Result = TypeVar("Result")
Method = Literal["GET", "POST", "PUT", "DELETE"]


class RouteAddress(NamedTuple):
    """Method and path of an operation; the path is relative to the instance."""

    method: Method
    path: str


class AuditedState(StrEnum):
    """The rows that an act may change, for the audit log."""

    INSTANCE = "instance"
    QUEUE = "queue"
    ACCOUNT = "account"
    DEAD_LETTERS = "dead_letters"
    CONSENT = "consent"
    WEBHOOKS = "webhooks"
    API_KEYS = "api_keys"


@dataclass(frozen=True, slots=True)
class FromHeader:
    """Marks a field that a header of the request fills."""

    name: str


@dataclass(frozen=True, slots=True)
class Picture:
    """An answer that is a file instead of JSON."""

    __pydantic_config__ = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    content: bytes
    mime_type: str


class Operation(Documented, Generic[Result]):
    """A request that is answered at once, by the live session or from the database.

    `also` lists further addresses at which real clients call it; `answer_status` is the HTTP
    status of its answer, `answer_example` the answer itself, where its type alone cannot show it.
    """

    address: ClassVar[RouteAddress | None] = None
    also: ClassVar[tuple[RouteAddress, ...]] = ()
    answer_status: ClassVar[int] = 200
    answer_example: ClassVar[Any] = None
    fields_in: ClassVar[Literal["query", "body"] | None] = None
    """Where the documents show the fields; by default in the query of GET and DELETE."""
    bare_list: ClassVar[str | None] = None
    """The field that holds the whole body, where the body is a list."""
    carries_media: ClassVar[bool] = False
    """A body with a file in it may be large."""
    min_body_limit_bytes: ClassVar[int] = 0
    """Bodies up to this size are read even where the setting for bodies is smaller."""
    awaits_session: ClassVar[bool] = False
    """Whether it waits a few seconds for a session that is still being opened."""
    cache_ttl_seconds: ClassVar[float] = 0
    """How long an answer of the session may be reused, unless the instance changes something."""
    session_operation: "ClassVar[type[Operation[Any]] | None]" = None
    """What the session must support, where the gateway itself answers this operation."""
    refuses_unknown: ClassVar[bool | None] = None
    """Whether names that it does not know are refused; None: where Z-API has no such route."""
    audited: ClassVar[bool | None] = None
    """Whether it is written to the audit log; None: where its method is not GET."""
    audited_state: ClassVar[AuditedState | None] = None
    """What the audit log compares before and after it."""
    scope: ClassVar[ApiScope | None] = None
    """The right that a caller needs; each class with a path names its own."""
    partner: ClassVar[bool] = False
    """Authorised by the partner token."""
    absolute: ClassVar[bool] = False
    """The path is not relative to an instance."""
    by_name: ClassVar[bool] = False
    """Its fields name the instance; served only where the operator switched these routes on."""
    enqueues: ClassVar[bool] = False
    """It puts a message into the queue, which an Idempotency-Key and `Prefer: wait` apply to."""

    def __init_subclass__(
        cls,
        *,
        method: Method | None = None,
        path: str | None = None,
        also: tuple[RouteAddress, ...] = (),
        answer_status: int = 200,
    ) -> None:
        super().__init_subclass__()
        cls.address = RouteAddress(method, path) if method and path else None
        cls.also, cls.answer_status = also, answer_status

    @classmethod
    def is_strict(cls) -> bool:
        """Returns whether names that no field has are refused, instead of ignored as by Z-API."""
        if cls.refuses_unknown is None:
            return ".extensions." in cls.__module__
        return cls.refuses_unknown

    @classmethod
    def is_audited(cls) -> bool:
        """Returns whether each execution leaves a line in the audit log."""
        if cls.audited is None:
            return cls.address is not None and cls.address.method != "GET"
        return cls.audited

    @classmethod
    def result_type(cls) -> type[Any]:
        """The `Result` this operation was declared with."""
        for base in cls.__mro__:
            if arguments := base.__dict__.get("__pydantic_generic_metadata__", {}).get("args"):
                return cast("type[Any]", arguments[0])
        raise TypeError(f"{cls.__name__} declares no result")

    @classmethod
    def headers(cls) -> Mapping[str, str]:
        """The fields that headers fill, each with the name of its header."""
        return {
            field: mark.name
            for field, info in cls.model_fields.items()
            for mark in info.metadata
            if isinstance(mark, FromHeader)
        }


class Value(Wire):
    """The answer `{"value": true}`."""

    value: bool = True


class Success(Wire):
    """The answer `{"success": true}`."""

    success: bool = True


def declared_operations(family: type[Operation[Any]] = Operation) -> Iterator[type[Operation[Any]]]:
    """Every operation with an address, however deep its family."""
    for subclass in family.__subclasses__():
        if subclass.address is not None:
            yield subclass
        yield from declared_operations(subclass)
