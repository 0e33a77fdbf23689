"""Webhooks of an instance beside the one for each type of callback that Z-API has."""

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Documented, Example
from gateway.contract.extensions.replay import CallbackType
from gateway.contract.operation import AuditedState, Operation, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.urls import WRITTEN_URL
from gateway.contract.wire import Wire
from gateway.contract.zapi.webhooks import SetWebhook

_CREATED, _NOT_FOUND, _CONFLICT = 201, 404, 409
_MAX_URL_LENGTH = 2_048
_MAX_HEADERS, _MAX_HEADERS_LENGTH = 20, 8_192
_SECRET_LENGTHS: Final = range(16, 257)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_RESERVED: Final = frozenset(
    {
        "host",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "user-agent",
    }
)
_RESERVED_BEGINNINGS: Final = ("content-", "proxy-", "x-webhook-")
_ID = "5d3f4a52-8a0e-4a54-9d0e-2f1f7a3f9c11"


def _allowed_headers(headers: dict[str, str]) -> dict[str, str]:
    """Checks headers; the error texts leave their values out, because these may be secrets."""
    if len(headers) > _MAX_HEADERS or len({name.lower() for name in headers}) < len(headers):
        raise PydanticCustomError(
            "invalid_headers", f"must be {_MAX_HEADERS} at most, each name once"
        )
    if sum(len(name) + len(value) for name, value in headers.items()) > _MAX_HEADERS_LENGTH:
        raise PydanticCustomError(
            "invalid_headers", f"must have {_MAX_HEADERS_LENGTH} characters together at most"
        )
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise PydanticCustomError("invalid_headers", "must have names that HTTP allows")
        if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_BEGINNINGS):
            raise PydanticCustomError(
                "invalid_headers", "must not set {name}: the gateway does", {"name": name}
            )
        if not _VALUE.fullmatch(value):
            raise PydanticCustomError(
                "invalid_headers",
                "must have a value of printable ASCII for {name}",
                {"name": name},
            )
    return headers


def _allowed_secret(secret: str) -> str:
    if secret and len(secret) not in _SECRET_LENGTHS:
        raise PydanticCustomError(
            "invalid_secret",
            f"must have {_SECRET_LENGTHS.start} to {_SECRET_LENGTHS.stop - 1} characters",
        )
    return secret


_Url = Annotated[str, Field(max_length=_MAX_URL_LENGTH), WRITTEN_URL]


def _empty_list_is_object(value: object) -> object:
    return {} if value == [] else value  # PHP writes an empty array so


_Headers = Annotated[
    dict[str, str], BeforeValidator(_empty_list_is_object), AfterValidator(_allowed_headers)
]
_Secret = Annotated[str, AfterValidator(_allowed_secret)]
_Types = tuple[CallbackType, ...]

_EXAMPLE: Example = {
    "url": "https://crm.example.com/hook",
    "types": ["ReceivedCallback", "MessageStatusCallback"],
    "headers": {"Authorization": "Bearer 0123456789"},
    "secret": "a secret of the receiver",
    "enabled": True,
}
_ANSWER: Example = {
    "id": _ID,
    "url": "https://crm.example.com/hook",
    "types": ["ReceivedCallback", "MessageStatusCallback"],
    "enabled": True,
    "headerNames": ["Authorization"],
    "hasSecret": True,
    "createdAt": "2026-01-31T12:00:00Z",
}


class Webhook(Wire):
    """A further webhook; `types` is missing where it gets all. Values of headers are not shown."""

    id: UUID
    url: str
    types: tuple[str, ...] | None
    enabled: bool
    header_names: tuple[str, ...]
    has_secret: bool
    created_at: datetime


class Webhooks(Wire):
    """The further webhooks of an instance, oldest first."""

    webhooks: tuple[Webhook, ...]


class SetInitialDataWebhook(SetWebhook, method="PUT", path="/update-webhook-initial-data"):
    """Sets the address that `/me` shows as `initialDataCallbackUrl`.

    The gateway stores it and posts nothing to it: Z-API documents no body for it. What a linking
    phone hands over is in `/chats`, `/contacts` and `/chat-messages`.
    """

    scope = ApiScope.WEBHOOKS


class ListWebhooks(Operation[Webhooks], method="GET", path="/webhooks"):
    """The further webhooks of the instance."""

    scope = ApiScope.WEBHOOKS
    answer_example: ClassVar[Any] = {"webhooks": [_ANSWER]}


class AddWebhook(Operation[Webhook], method="POST", path="/webhooks", answer_status=_CREATED):
    """Adds a webhook beside those of Z-API's routes: up to 10 for each instance.

    Without `types` it gets all callbacks. `headers` are sent with each callback, and stored
    encrypted. With a `secret` of its own, that one signs instead of the account's. It does not get
    the token of the instance.
    """

    scope = ApiScope.WEBHOOKS
    audited_state = AuditedState.WEBHOOKS
    failures = (_CONFLICT,)
    example_minimal: ClassVar[Example] = {"url": "https://crm.example.com/hook"}
    example: ClassVar[Example] = _EXAMPLE
    answer_example: ClassVar[Any] = _ANSWER

    url: _Url
    types: _Types = ()
    sent_headers: _Headers = Field(default_factory=dict, alias="headers", repr=False)
    secret: _Secret = Field("", repr=False)
    enabled: bool = True


class WebhookOperation(Documented):
    """Names one further webhook."""

    example: ClassVar[Example] = {"webhookId": _ID}
    failures: ClassVar[tuple[int, ...]] = (_NOT_FOUND,)

    webhook_id: UUID


class UpdateWebhook(
    WebhookOperation, Operation[Webhook], method="PUT", path="/webhooks/{webhook_id}"
):
    """Changes the fields that are given.

    An empty `types` stands for all; empty `headers` or an empty `secret` remove them. A webhook
    that is not enabled gets nothing, and what waits for it is dropped; a replay brings it later.
    """

    scope = ApiScope.WEBHOOKS
    audited_state = AuditedState.WEBHOOKS
    example_minimal: ClassVar[Example] = {"webhookId": _ID, "enabled": False}
    example: ClassVar[Example] = {"webhookId": _ID, **_EXAMPLE}
    answer_example: ClassVar[Any] = _ANSWER

    url: _Url | None = None
    types: _Types | None = None
    sent_headers: _Headers | None = Field(None, alias="headers", repr=False)
    secret: _Secret | None = Field(None, repr=False)
    enabled: bool | None = None


class DeleteWebhook(
    WebhookOperation, Operation[Value], method="DELETE", path="/webhooks/{webhook_id}"
):
    """Deletes a further webhook; what waits for it is dropped."""

    scope = ApiScope.WEBHOOKS
    audited_state = AuditedState.WEBHOOKS
    answer_example: ClassVar[Any] = {"value": True}
