"""The session of an instance and its failed messages, with the instance by its name."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from gateway.contract.documented import Example
from gateway.contract.extensions.named.route import (
    EXAMPLE_ID,
    EXAMPLE_NAME,
    InstanceByName,
    InstanceInFields,
)
from gateway.contract.operation import Success
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import OmitIfNone

_CODE: Example = {"qrCode": "2@Zk3v9Q,1aBc,2dEf,3gHi", "qrImage": "data:image/png;base64,iVBORw0="}


class NamedConnection(Success):
    """The state of the connection: `connected`, `disconnected` or, with a code, `qr`.

    `error` says what to do; `reason` names the fault where a session loses WhatsApp.
    """

    instance_id: str
    instance_name: str
    status: str
    connected: bool
    qr_code: str | None = OmitIfNone
    qr_image: str | None = OmitIfNone
    error: str | None = OmitIfNone
    reason: str | None = OmitIfNone


class ConnectNamed(
    InstanceInFields[NamedConnection], method="POST", path="/api/v2/whatsapp/connect"
):
    """The QR code that links a phone, as text and as picture, or that one is linked. An extension.

    The code changes every 20 seconds: ask again until `connected` is true.
    """

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"instanceName": EXAMPLE_NAME}
    answer_example: ClassVar[Any] = {
        "success": True,
        "instanceId": EXAMPLE_ID,
        "instanceName": EXAMPLE_NAME,
        "status": "qr",
        "connected": False,
        **_CODE,
    }


class ReadNamedStatus(
    InstanceByName[NamedConnection], method="GET", path="/api/v2/whatsapp/status/{instance}"
):
    """The state of the connection of an instance, as `GET /status`. An extension."""

    scope = ApiScope.READ
    instance_fields = ("instance",)
    example: ClassVar[Example] = {"instance": EXAMPLE_NAME}
    answer_example: ClassVar[Any] = {
        "success": True,
        "instanceId": EXAMPLE_ID,
        "instanceName": EXAMPLE_NAME,
        "status": "connected",
        "connected": True,
        "error": "You are already connected.",
    }

    instance: Annotated[str, Field(min_length=1, description="its id or its name")]


class NamedRetry(Success):
    """How many failed messages wait again."""

    retried: int
    queue_length: int


class RetryNamedQueue(
    InstanceInFields[NamedRetry], method="POST", path="/api/v2/whatsapp/queue/retry"
):
    """Puts the failed messages of an instance back in their place in its queue. An extension.

    With `messageId`, only that one, by its `messageId` or its `zaapId`.
    """

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"instanceName": EXAMPLE_NAME}
    answer_example: ClassVar[Any] = {"success": True, "retried": 3, "queueLength": 15}

    message_id: Annotated[str | None, Field(description="only this message")] = None


class NamedRecovery(Success):
    """The session was closed and opens again."""

    instance_id: str
    instance_name: str
    status: str = "restarted"


class RecoverNamed(
    InstanceInFields[NamedRecovery], method="POST", path="/api/v2/whatsapp/recovery"
):
    """Closes the session and opens it again, as `/restart`; the queue goes on. An extension."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"instanceName": EXAMPLE_NAME}
    answer_example: ClassVar[Any] = {
        "success": True,
        "instanceId": EXAMPLE_ID,
        "instanceName": EXAMPLE_NAME,
        "status": "restarted",
    }
