"""Routes of an account that name the instance by its id or its name. An extension.

Served only with `GATEWAY_NAMED_API=true`, else they answer 404. Each passes on to a route of the
instance, with the same limits. Names are not unique: one that several instances have is answered
409 with their ids. An error has `"success": false` beside `error` and `message`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field

from gateway.contract.documented import Example
from gateway.contract.operation import Result, Success
from gateway.contract.send import PriorityName, TrackId
from gateway.contract.wire import DelaySeconds, ExpirySeconds, FutureTime, OmitIfNone, Wire
from gateway.contract.zapi.partner import PartnerOperation
from gateway.errors import InvalidRequest

_ACCEPTED = 202
_NOT_FOUND, _CONFLICT, _BAD_GATEWAY = 404, 409, 502
_NAME = "Front desk"
_ID = "3C67AB641C8AA0412F6A2242B4E23AC7"
_IDS: Example = {
    "zaapId": "4A6F0B3D92C1E8577D10A2B4C6D8E9F1",
    "messageId": "3EB0577D10A2B4C6D8E9F1",
    "id": "3EB0577D10A2B4C6D8E9F1",
}
_QUEUED: Example = {"success": True, "status": "queued", **_IDS}
_CODE: Example = {"qrCode": "2@Zk3v9Q,1aBc,2dEf,3gHi", "qrImage": "data:image/png;base64,iVBORw0="}


class NamedOperation(PartnerOperation[Result]):
    """A route that answers `success`, and is served where the operator switched it on."""

    absolute = True
    by_name = True
    refuses_unknown = False  # programs written for another gateway send fields of their own
    audited = False  # the operation of the instance that it leads to leaves the line
    instance_fields: ClassVar[tuple[str, ...]] = ("instanceName", "instanceId")

    def given_instance(self) -> tuple[str, str] | None:
        """Returns the field that names the instance, and its value; None where none does.

        Raises:
            InvalidRequest: two fields name different instances.
        """
        fields = self.model_dump(by_alias=True, include=self._fields_of_instance())
        given = [name for name in self.instance_fields if fields.get(name)]
        if len({fields[name] for name in given}) > 1:
            raise InvalidRequest(f"{given[1]}: must not be given together with {given[0]}")
        return (given[0], fields[given[0]]) if given else None

    @classmethod
    def _fields_of_instance(cls) -> set[str]:
        return {
            name for name, info in cls.model_fields.items() if info.alias in cls.instance_fields
        }


class InstanceByName(NamedOperation[Result]):
    """A route about one instance."""

    failures = (*PartnerOperation.failures, _NOT_FOUND, _CONFLICT, _BAD_GATEWAY)


class InstanceInFields(InstanceByName[Result]):
    """A route whose body names the instance."""

    instance_name: Annotated[
        str | None, Field(description="the instance, by its name or its id")
    ] = None
    instance_id: Annotated[
        str | None, Field(description="the same, for programs that have the id")
    ] = None


class QueuedByName(Wire):
    """An accepted message; `status` is `queued`, or how it ended where the answer waited for that.

    `success` is false where it failed, and `error` says why.
    """

    success: bool = True
    status: str
    zaap_id: str
    message_id: str
    id: str
    scheduled_for: datetime | None = OmitIfNone
    error: str | None = OmitIfNone


class FlatSend(InstanceInFields[Result]):
    """Queues a message whose fields stand side by side, as in the flat records of Kafka.

    The recipient is one of `phoneNumber`, `phone`, `remoteJid` and `groupId`.
    """

    enqueues = True
    answers_outcome: ClassVar[bool] = False
    """Whether the operator's setting makes the answer wait for the outcome."""

    user_id: Annotated[str | None, Field(description="the account's id or name; not needed")] = None
    phone_number: Annotated[str | None, Field(description="the recipient")] = None
    phone: Annotated[str | None, Field(description="the same")] = None
    remote_jid: Annotated[
        str | None, Field(description="the same, such as 5511999999999@s.whatsapp.net")
    ] = None
    group_id: Annotated[
        str | None, Field(description="a group instead, such as 120363019502650977@g.us")
    ] = None
    message: Annotated[str | None, Field(description="the text; with a file, its caption")] = None
    delay_message: DelaySeconds = Field(None, description="seconds to wait before it, 1 to 15")
    delay_typing: DelaySeconds = Field(None, description='seconds of "typing...", 1 to 15')
    expires_at: FutureTime | None = Field(None, description="not sent after this time")
    expires_in: ExpirySeconds = Field(None, description="the same, in seconds from acceptance")
    priority: PriorityName | None = None
    track_id: TrackId | None = Field(None, description="a reference of your own")

    def flat_fields(self) -> Mapping[str, Any]:
        """Returns the fields that were given, as the caller spells them."""
        return self.model_dump(by_alias=True, exclude_none=True)

    def own_id(self) -> str | None:
        """Returns the caller's own id of the request, if it has one."""
        return None


class FlatSendWithFile(FlatSend[Result]):
    """The same, which may have a file."""

    carries_media = True

    media_url: Annotated[str | None, Field(description="a file, by its URL or as base64")] = None
    media_type: Annotated[
        str | None,
        Field(
            description="image, video, audio, document, sticker, gif, ptv, or a MIME type; "
            "required with mediaUrl"
        ),
    ] = None
    file_name: Annotated[str | None, Field(description="the name of a document")] = None


class SendNamedMessage(
    FlatSendWithFile[QueuedByName], method="POST", path="/api/whatsapp/send-message"
):
    """Queues a message of an instance that is given by name. An extension.

    With a `scheduledFor` it waits in the queue until then, without delaying others.
    """

    example: ClassVar[Example] = {
        "instanceName": _NAME,
        "phoneNumber": "5511999999999",
        "message": "Today's menu",
        "mediaUrl": "https://example.com/image.png",
        "mediaType": "image",
    }
    example_minimal: ClassVar[Example] = {
        "instanceName": _NAME,
        "phoneNumber": "5511999999999",
        "message": "Hello",
    }
    answer_example: ClassVar[Any] = _QUEUED

    scheduled_for: FutureTime | None = Field(None, description="not before; up to 90 days ahead")


class ScheduledByName(Wire):
    """A scheduled message; `zaapId` cancels it (`DELETE /queue/{zaapId}` of the instance)."""

    success: bool = True
    status: str
    schedule_id: str
    scheduled_for: datetime
    message: str
    zaap_id: str
    message_id: str
    id: str


class ScheduleNamedMessage(
    FlatSendWithFile[ScheduledByName],
    method="POST",
    path="/api/whatsapp/schedule-message",
    answer_status=_ACCEPTED,
):
    """Queues a message that leaves at `scheduledFor`. An extension.

    A `scheduleId` of yours comes back, and for 24 hours a request that repeats it is recognised as
    by an `Idempotency-Key`; without one, the answer has the `zaapId` in its place.
    """

    example: ClassVar[Example] = {
        "instanceName": _NAME,
        "phoneNumber": "5511999999999",
        "message": "See you at noon",
        "scheduledFor": "2026-01-31T12:00:00Z",
        "scheduleId": "visit-17",
    }
    example_minimal: ClassVar[Example] = {
        "instanceName": _NAME,
        "phoneNumber": "5511999999999",
        "message": "See you at noon",
        "scheduledFor": "2026-01-31T12:00:00Z",
    }
    answer_example: ClassVar[Any] = {
        "success": True,
        "status": "scheduled",
        "scheduleId": "visit-17",
        "scheduledFor": "2026-01-31T12:00:00Z",
        "message": "The message is scheduled",
        **_IDS,
    }

    scheduled_for: FutureTime = Field(description="when the message leaves; up to 90 days ahead")
    schedule_id: Annotated[
        str | None, Field(max_length=200, description="your own id of the request")
    ] = None

    def own_id(self) -> str | None:
        return self.schedule_id


class SendChannelMessage(
    FlatSendWithFile[QueuedByName], method="POST", path="/api/messaging/message/send"
):
    """Sends a text or a file through a channel, which is an instance. An extension.

    The answer comes when the message is queued; where the operator sets
    `GATEWAY_NAMED_API_WAIT_SECONDS`, or the request has `Prefer: wait=20`, when it is out, with its
    final `status`.
    """

    instance_fields = ("channelInstanceId", *NamedOperation.instance_fields)
    answers_outcome = True
    example: ClassVar[Example] = {
        "channel": "whatsapp",
        "channelInstanceId": _NAME,
        "remoteJid": "5511999999999@s.whatsapp.net",
        "message": "Today's menu",
        "mediaUrl": "https://example.com/image.png",
        "mediaType": "image",
    }
    example_minimal: ClassVar[Example] = {
        "channelInstanceId": _NAME,
        "remoteJid": "5511999999999@s.whatsapp.net",
        "message": "Hello",
    }
    answer_example: ClassVar[Any] = {"success": True, "status": "sent", **_IDS}

    channel: Annotated[str | None, Field(description="whatsapp")] = None
    channel_instance_id: Annotated[
        str | None, Field(description="the instance, by its id or its name")
    ] = None
    scheduled_for: FutureTime | None = Field(None, description="not before; up to 90 days ahead")


class SendNamedText(FlatSend[QueuedByName], method="POST", path="/api/v2/whatsapp/send/text"):
    """Queues a text. An extension."""

    example: ClassVar[Example] = {
        "instanceName": _NAME,
        "phoneNumber": "5511999999999",
        "message": "Hello",
    }
    answer_example: ClassVar[Any] = _QUEUED

    scheduled_for: FutureTime | None = Field(None, description="not before; up to 90 days ahead")


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

    example: ClassVar[Example] = {"instanceName": _NAME}
    answer_example: ClassVar[Any] = {
        "success": True,
        "instanceId": _ID,
        "instanceName": _NAME,
        "status": "qr",
        "connected": False,
        **_CODE,
    }


class ReadNamedStatus(
    InstanceByName[NamedConnection], method="GET", path="/api/v2/whatsapp/status/{instance}"
):
    """The state of the connection of an instance, as `GET /status`. An extension."""

    instance_fields = ("instance",)
    example: ClassVar[Example] = {"instance": _NAME}
    answer_example: ClassVar[Any] = {
        "success": True,
        "instanceId": _ID,
        "instanceName": _NAME,
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

    example: ClassVar[Example] = {"instanceName": _NAME}
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

    example: ClassVar[Example] = {"instanceName": _NAME}
    answer_example: ClassVar[Any] = {
        "success": True,
        "instanceId": _ID,
        "instanceName": _NAME,
        "status": "restarted",
    }


class NamedHealth(Success):
    """The gateway can serve this caller; the instances of the account, and those connected."""

    status: str = "ok"
    instances: int
    connected: int


class ReadNamedHealth(NamedOperation[NamedHealth], method="GET", path="/api/v2/whatsapp/health"):
    """Whether the gateway can serve this account; 503 names what is not ready. An extension."""

    answer_example: ClassVar[Any] = {
        "success": True,
        "status": "ok",
        "instances": 3,
        "connected": 2,
    }


class QueueOfInstance(Wire):
    """An instance, and the messages in its queue by state."""

    instance_id: str
    instance_name: str
    connected: bool
    paused: bool
    waiting: int
    by_status: dict[str, int]


class NamedMetrics(Success):
    """The sums of the account, and each of its instances, the longest queue first.

    `waiting` are the messages that are not failed. At most 1000 instances are listed.
    """

    instances: int
    connected: int
    waiting: int
    by_status: dict[str, int]
    queues: tuple[QueueOfInstance, ...]


_BY_STATUS: Example = {"failed": 3, "pending": 11, "scheduled": 1}


class ReadNamedMetrics(NamedOperation[NamedMetrics], method="GET", path="/api/v2/whatsapp/metrics"):
    """The messages in the queues of the account by state, or of one instance. An extension."""

    failures = (*PartnerOperation.failures, _NOT_FOUND, _CONFLICT)
    example: ClassVar[Example] = {"instanceName": _NAME}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "success": True,
        "instances": 1,
        "connected": 1,
        "waiting": 12,
        "byStatus": _BY_STATUS,
        "queues": [
            {
                "instanceId": _ID,
                "instanceName": _NAME,
                "connected": True,
                "paused": False,
                "waiting": 12,
                "byStatus": _BY_STATUS,
            }
        ],
    }

    instance_name: Annotated[
        str | None, Field(description="only this instance, by its name or its id")
    ] = None
    instance_id: Annotated[str | None, Field(description="the same")] = None
