"""Instances of an account: create, list, subscribe and delete them."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.operation import AuditedState, Operation, Result, RouteAddress
from gateway.contract.paging import MAX_PAGE, between
from gateway.contract.scopes import ApiScope
from gateway.contract.secret_fields import SECRET, SECRET_URL
from gateway.contract.urls import WRITTEN_URL
from gateway.contract.wire import Wire

_MAX_NAME_LENGTH = 255
_MAX_ADDRESS_LENGTH = 2_048
_MAX_TEXT_LENGTH = 4_096
_MAX_PAGE_SIZE = 1_000
_CREATED = 201
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_OK = "OK"
_ID, _TOKEN = "3C67AB641C8AA0412F6A2242B4E23AC7", "9E5C0B7A1D2F4E6C8B0A9D7F5E3C1B2A"


def _web_or_mobile(value: object) -> object:
    text = str(value).strip().lower()
    if text in ("", "web", "mobile"):
        return text
    raise PydanticCustomError("middleware", "must be web or mobile")


def _only_true(value: object) -> object:
    if value is True or (isinstance(value, str) and value.strip().lower() == "true"):
        return True
    raise PydanticCustomError("only_true", "must be true: calls cannot be removed")


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=_MAX_NAME_LENGTH)
]
CallbackAddress = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=_MAX_ADDRESS_LENGTH), WRITTEN_URL
]
MiddlewareKind = Literal["web", "mobile"]


class PartnerOperation(Operation[Result]):
    """Authorised by the account's partner token, in `Authorization: Bearer` or `Partner-Token`.

    The Client-Token works too, in any of these headers, while the account has at most 25 instances.
    """

    partner = True
    failures: ClassVar[tuple[int, ...]] = (_UNAUTHORIZED, _FORBIDDEN)


class CreatedInstance(Wire):
    """`due`, in milliseconds, is when the trial ends, or far away."""

    id: str
    token: Annotated[str, SECRET]
    due: int


class CreateInstance(
    PartnerOperation[CreatedInstance], method="POST", path="/instances/integrator/on-demand"
):
    """Creates an instance, to be linked with a phone by its QR code.

    `receivedAndDeliveryCallbackUrl` gets received messages and those the instance sends.
    `provider` and `providerSettings` are an extension: the provider and its own settings.
    """

    scope = ApiScope.MANAGE
    absolute = True
    example_minimal: ClassVar[Example] = {"name": "Front desk"}
    example: ClassVar[Example] = {
        "name": "Front desk",
        "sessionName": "Front desk",
        "receivedCallbackUrl": "https://example.com/webhook",
        "deliveryCallbackUrl": "https://example.com/webhook",
        "messageStatusCallbackUrl": "https://example.com/webhook",
        "connectedCallbackUrl": "https://example.com/webhook",
        "disconnectedCallbackUrl": "https://example.com/webhook",
        "presenceChatCallbackUrl": "https://example.com/webhook",
        "callRejectAuto": True,
        "callRejectMessage": "Please write, we do not take calls.",
        "autoReadMessage": False,
        "autoReadStatus": False,
        "isDevice": False,
        "businessDevice": False,
        "disableEnqueueWhenDisconnected": False,
    }
    answer_example: ClassVar[Any] = {"id": _ID, "token": _TOKEN, "due": 4102444800000}

    name: Name
    session_name: Annotated[str, StringConstraints(max_length=_MAX_NAME_LENGTH)] | None = None
    delivery_callback_url: CallbackAddress = ""
    received_callback_url: CallbackAddress = ""
    received_and_delivery_callback_url: CallbackAddress = ""
    disconnected_callback_url: CallbackAddress = ""
    connected_callback_url: CallbackAddress = ""
    presence_chat_callback_url: CallbackAddress = ""
    message_status_callback_url: CallbackAddress = ""
    call_reject_auto: bool = False
    call_reject_message: Annotated[str, StringConstraints(max_length=_MAX_TEXT_LENGTH)] | None = (
        None
    )
    auto_read_message: bool = False
    auto_read_status: bool = False
    is_device: bool = False
    business_device: bool = False
    disable_enqueue_when_disconnected: bool = False
    provider: str | None = None
    provider_settings: dict[str, Any] = Field(default_factory=dict)


class ListedInstance(Wire):
    """An instance as its owner sees it; an address that is not set is an empty text.

    An API key without the scope `manage` sees an empty `token`, and of addresses only the host.
    """

    id: str
    token: Annotated[str, SECRET]
    name: str
    tenant: str
    created: datetime
    due: int
    payment_status: str
    delivery_callback_url: Annotated[str, SECRET_URL]
    received_callback_url: Annotated[str, SECRET_URL]
    received_and_delivery_callback_url: Annotated[str, SECRET_URL]
    disconnected_callback_url: Annotated[str, SECRET_URL]
    connected_callback_url: Annotated[str, SECRET_URL]
    presence_chat_callback_url: Annotated[str, SECRET_URL]
    message_status_callback_url: Annotated[str, SECRET_URL]
    received_status_callback_url: Annotated[str, SECRET_URL]
    phone_connected: bool
    whatsapp_connected: bool
    middleware: MiddlewareKind


class InstancePage(Wire):
    """A page of instances, and how many there are."""

    total: int
    total_page: int
    page_size: int
    page: int
    content: tuple[ListedInstance, ...]


class ListInstances(
    PartnerOperation[InstancePage], method="GET", path="/instances", answer_status=_CREATED
):
    """The instances of the account, oldest first.

    `query` finds those with that text in their name or id; `middleware` those of one kind;
    `whatsappConnected` those that are connected, or not.
    """

    scope = ApiScope.READ
    absolute = True
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {"page": 1, "pageSize": 20, "query": "desk", "middleware": "web"}
    answer_example: ClassVar[Any] = {
        "total": 1,
        "totalPage": 1,
        "pageSize": 20,
        "page": 1,
        "content": [
            {
                "id": _ID,
                "token": _TOKEN,
                "name": "Front desk",
                "tenant": "0D1F4C2B8A6E4F7D9B3C5A1E7F2D8B60",
                "created": "2026-01-01T00:00:00Z",
                "due": 4102444800000,
                "paymentStatus": "PAID",
                "deliveryCallbackUrl": "https://example.com/webhook",
                "receivedCallbackUrl": "https://example.com/webhook",
                "receivedAndDeliveryCallbackUrl": "",
                "disconnectedCallbackUrl": "",
                "connectedCallbackUrl": "",
                "presenceChatCallbackUrl": "",
                "messageStatusCallbackUrl": "",
                "receivedStatusCallbackUrl": "",
                "phoneConnected": True,
                "whatsappConnected": True,
                "middleware": "web",
            }
        ],
    }

    page: Annotated[int, BeforeValidator(between(1, MAX_PAGE))] = 1
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 20
    query: str = ""
    middleware: Annotated[Literal["", "web", "mobile"], BeforeValidator(_web_or_mobile)] = ""
    whatsapp_connected: bool | None = None


class Subscribe(
    PartnerOperation[str],
    method="POST",
    path="/integrator/on-demand/subscription",
    answer_status=_CREATED,
):
    """Subscribes an instance, which ends its trial."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.INSTANCE
    example: ClassVar[Example] = {"withCalls": True}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = _OK

    with_calls: bool = False


class AddCalls(
    PartnerOperation[str],
    method="PUT",
    path="/integrator/on-demand/subscription/update",
    also=(RouteAddress("PUT", "/integrator/subscription/update"),),
    answer_status=_CREATED,
):
    """Adds calls to the subscription of an instance."""

    scope = ApiScope.MANAGE
    unconfirmed = ("/integrator/subscription/update",)
    audited_state = AuditedState.INSTANCE
    example: ClassVar[Example] = {"withCalls": True}
    answer_example: ClassVar[Any] = _OK

    with_calls: Annotated[bool, BeforeValidator(_only_true)]


class CancelSubscription(
    PartnerOperation[str],
    method="POST",
    path="/integrator/on-demand/cancel",
    answer_status=_CREATED,
):
    """Ends the subscription of an instance, which may send for another 30 days."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.INSTANCE
    answer_example: ClassVar[Any] = _OK
