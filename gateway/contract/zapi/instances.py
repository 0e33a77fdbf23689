"""An instance: linking a phone, the state of the connection, and its profile."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field, StringConstraints, model_validator

from gateway.contract.documented import Example
from gateway.contract.media_types import accepted_types
from gateway.contract.operation import (
    AuditedState,
    FromHeader,
    Operation,
    Picture,
    RouteAddress,
    Value,
)
from gateway.contract.scopes import ApiScope
from gateway.contract.secret_fields import SECRET, SECRET_URL
from gateway.contract.urls import WRITTEN_URL
from gateway.contract.whatsapp_limits import MAX_ABOUT_LENGTH, MAX_PROFILE_NAME_LENGTH
from gateway.contract.wire import OmitIfNone, Phone, Wire

_MAX_NAME_LENGTH = 255
_DONE = {"value": True}
_UNAVAILABLE = 503
PNG = "image/png"


class Status(Wire):
    """The state of the connection; `error` describes it, also when it is connected.

    `reason` names the fault where a session does not start or loses WhatsApp.
    """

    connected: bool
    session: bool
    created: int
    error: str
    smartphone_connected: bool
    reason: str | None = OmitIfNone


class ReadStatus(Operation[Status], method="GET", path="/status"):
    """Whether messages can leave, and what to do if not."""

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = {
        "connected": True,
        "session": True,
        "created": 1767225600000,
        "error": "You are already connected.",
        "smartphoneConnected": True,
    }


class AlreadyConnected(Wire):
    """There is nothing to scan or type: a phone is linked and answers."""

    connected: bool = True


class QrCode(Wire):
    """What the phone is to scan, twice: clients read the one or the other."""

    value: str
    qr_code: str


class ReadQrCode(Operation[QrCode | AlreadyConnected | Picture], method="GET", path="/qr-code"):
    """The text of the QR code that links a phone; another every 20 seconds.

    With `Accept: image/*`, as an image element of a browser sends it, the code as a PNG.
    """

    scope = ApiScope.MANAGE
    awaits_session = True
    answer_example: ClassVar[Any] = {
        "value": "2@Zk3v9Q,1aBc,2dEf,3gHi",
        "qrCode": "2@Zk3v9Q,1aBc,2dEf,3gHi",
    }
    failures = (_UNAVAILABLE,)

    accept: Annotated[str, FromHeader("Accept")] = ""

    def wants_the_file(self) -> bool:
        """Whether the caller prefers a PNG to JSON."""
        weights = accepted_types(self.accept)
        picture = max(weights.get(PNG, 0.0), weights.get("image/*", 0.0))
        return picture > weights.get("application/json", 0.0)


ReadQrCode.session_operation = ReadQrCode


class QrImage(Wire):
    """The QR code as a data URI."""

    value: str


class ReadQrImage(
    Operation[QrImage | AlreadyConnected | Picture], method="GET", path="/qr-code/image"
):
    """The QR code as a picture: a data URI, or the PNG itself for who accepts image/png."""

    scope = ApiScope.MANAGE
    session_operation = ReadQrCode
    answer_example: ClassVar[Any] = {"value": "data:image/png;base64,iVBORw0KGgo="}
    failures = (_UNAVAILABLE,)

    accept: Annotated[str, FromHeader("Accept")] = ""

    def wants_the_file(self) -> bool:
        return PNG in accepted_types(self.accept)


class PhoneCode(Wire):
    """What is to be typed on the phone, twice: clients read the one or the other."""

    code: str
    value: str

    @model_validator(mode="before")
    @classmethod
    def _named_twice(cls, given: object) -> object:
        if isinstance(given, dict) and "code" in given:
            return {"value": given["code"], **given}
        return given


class ReadPhoneCode(
    Operation[PhoneCode | AlreadyConnected], method="GET", path="/phone-code/{phone}"
):
    """A code that links the phone of this number, typed there instead of scanning."""

    scope = ApiScope.MANAGE
    awaits_session = True
    example: ClassVar[Example] = {"phone": "5511999999999"}
    answer_example: ClassVar[Any] = {"code": "1A2B-3C4D", "value": "1A2B-3C4D"}
    failures = (_UNAVAILABLE,)

    phone: Phone


class Restart(
    Operation[Value], method="GET", path="/restart", also=(RouteAddress("POST", "/restart"),)
):
    """Closes the session and opens it again; the phone stays linked and the queue goes on."""

    scope = ApiScope.MANAGE
    audited = True
    answer_example: ClassVar[Any] = _DONE
    failures = (_UNAVAILABLE,)


class RestoreSession(
    Operation[Value],
    method="GET",
    path="/restore-session",
    also=(RouteAddress("POST", "/restore-session"),),
):
    """Reconnects a linked phone that is out of reach; false where none is linked."""

    scope = ApiScope.MANAGE
    audited = True
    answer_example: ClassVar[Any] = _DONE
    failures = (_UNAVAILABLE,)


class Disconnect(
    Operation[Value], method="GET", path="/disconnect", also=(RouteAddress("POST", "/disconnect"),)
):
    """Unlinks the phone: a new QR code is needed afterwards.

    What is queued waits.
    """

    scope = ApiScope.MANAGE
    audited = True
    answer_example: ClassVar[Any] = _DONE
    failures = (_UNAVAILABLE,)


class DeviceModel(Wire):
    """How the session shows among the phone's linked devices."""

    session_name: str
    device_model: str = Field(alias="device_model")  # so Z-API spells it


class Device(Wire):
    """The linked phone and whose it is."""

    phone: str
    img_url: str | None
    about: str | None
    name: str | None
    device: DeviceModel
    original_device: str
    session_id: int
    is_business: bool


class ReadDevice(Operation[Device], method="GET", path="/device"):
    """The linked phone and whose it is."""

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = {
        "phone": "5511999999999",
        "imgUrl": None,
        "about": "At work",
        "name": "Ana",
        "device": {"sessionName": "Gateway", "device_model": "Gateway"},
        "originalDevice": "android",
        "sessionId": 1,
        "isBusiness": False,
    }
    failures = (_UNAVAILABLE,)


class Me(Wire):
    """The instance itself; `due` is in milliseconds, and far away where nothing is due.

    An API key without the scope `manage` sees an empty `token`, and of addresses only the host.
    """

    id: str
    token: Annotated[str, SECRET]
    name: str
    due: int
    connected: bool
    payment_status: str
    created: datetime
    connected_callback_url: Annotated[str | None, SECRET_URL]
    delivery_callback_url: Annotated[str | None, SECRET_URL]
    disconnected_callback_url: Annotated[str | None, SECRET_URL]
    message_status_callback_url: Annotated[str | None, SECRET_URL]
    presence_chat_callback_url: Annotated[str | None, SECRET_URL]
    received_callback_url: Annotated[str | None, SECRET_URL]
    receive_callback_sent_by_me: bool
    call_reject_auto: bool
    call_reject_message: str | None
    auto_read_message: bool
    initial_data_callback_url: Annotated[str | None, SECRET_URL]
    message_filters: tuple[str, ...] = ()
    callback_type_filters: tuple[str, ...] = ()


class ReadMe(Operation[Me], method="GET", path="/me"):
    """The instance: its name, its token, its webhooks and switches."""

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = {
        "id": "3C67AB641C8AA0412F6A2242B4E23AC7",
        "token": "9E5C0B7A1D2F4E6C8B0A9D7F5E3C1B2A",
        "name": "Front desk",
        "due": 4102444800000,
        "connected": True,
        "paymentStatus": "PAID",
        "created": "2026-01-01T00:00:00Z",
        "connectedCallbackUrl": None,
        "deliveryCallbackUrl": "https://example.com/webhook",
        "disconnectedCallbackUrl": None,
        "messageStatusCallbackUrl": None,
        "presenceChatCallbackUrl": None,
        "receivedCallbackUrl": "https://example.com/webhook",
        "receiveCallbackSentByMe": False,
        "callRejectAuto": False,
        "callRejectMessage": None,
        "autoReadMessage": False,
        "initialDataCallbackUrl": None,
        "messageFilters": [],
        "callbackTypeFilters": [],
    }


class Rename(Operation[Value], method="PUT", path="/update-name"):
    """Gives the instance another name."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.INSTANCE
    example: ClassVar[Example] = {"value": "Front desk"}
    answer_example: ClassVar[Any] = _DONE

    value: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=_MAX_NAME_LENGTH)
    ]


class InstanceSwitch(Operation[Value]):
    """Turns something on or off for the instance."""

    audited_state = AuditedState.INSTANCE
    column: ClassVar[str]
    example: ClassVar[Example] = {"value": True}
    answer_example: ClassVar[Any] = _DONE

    value: bool


class SetAutoReadMessage(InstanceSwitch, method="PUT", path="/update-auto-read-message"):
    """Whether messages are marked as read when they come in.

    Best effort: the gateway tries for five minutes. What waits is lost if its process is killed.
    """

    scope = ApiScope.MANAGE
    column = "auto_read_message"


class SetAutoReadStatus(InstanceSwitch, method="PUT", path="/update-auto-read-status"):
    """Whether statuses are marked as seen, best effort; takes auto-read of messages, too."""

    scope = ApiScope.MANAGE
    column = "auto_read_status"


class SetCallReject(InstanceSwitch, method="PUT", path="/update-call-reject-auto"):
    """Whether calls are rejected.

    Best effort: not after 60 seconds. What waits is lost if the process is killed.
    """

    scope = ApiScope.MANAGE
    column = "call_reject_auto"


class SetCallRejectMessage(Operation[Value], method="PUT", path="/update-call-reject-message"):
    """The text that a caller gets after a rejected call; an empty one sends nothing."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.INSTANCE
    example: ClassVar[Example] = {"value": "Please write, we do not take calls."}
    answer_example: ClassVar[Any] = _DONE

    value: Annotated[str, StringConstraints(max_length=4_096)]


class ProfileOperation(Operation[Value]):
    """Changes what people see of this number."""

    example: ClassVar[Example] = {"value": "Front desk"}
    answer_example: ClassVar[Any] = _DONE
    failures = (_UNAVAILABLE,)


class SetProfileName(ProfileOperation, method="PUT", path="/profile-name"):
    """Gives the number another name."""

    scope = ApiScope.MANAGE

    value: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROFILE_NAME_LENGTH),
    ] = Field(validation_alias=AliasChoices("value", "name"))


class SetProfileAbout(ProfileOperation, method="PUT", path="/profile-description"):
    """Changes the about text of the number."""

    scope = ApiScope.MANAGE

    value: Annotated[str, StringConstraints(max_length=MAX_ABOUT_LENGTH)] = Field(
        validation_alias=AliasChoices("value", "description")
    )


class SetProfilePicture(ProfileOperation, method="PUT", path="/profile-picture"):
    """Gives the number another picture: an address, a data URI or base64."""

    scope = ApiScope.MANAGE
    carries_media = True
    example: ClassVar[Example] = {"value": "https://example.com/image.png"}

    value: Annotated[str, Field(min_length=1), WRITTEN_URL] = Field(
        validation_alias=AliasChoices("value", "picture", "image")
    )
