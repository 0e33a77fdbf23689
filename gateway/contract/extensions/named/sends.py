"""Messages whose fields stand side by side, with the instance by its name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field

from gateway.contract.documented import Example
from gateway.contract.extensions.named.route import EXAMPLE_NAME, InstanceInFields, NamedOperation
from gateway.contract.operation import Result
from gateway.contract.scopes import ApiScope
from gateway.contract.send import PriorityName, TrackId
from gateway.contract.wire import DelaySeconds, ExpirySeconds, FutureTime, OmitIfNone, Wire

_ACCEPTED = 202
_IDS: Example = {
    "zaapId": "4A6F0B3D92C1E8577D10A2B4C6D8E9F1",
    "messageId": "3EB0577D10A2B4C6D8E9F1",
    "id": "3EB0577D10A2B4C6D8E9F1",
}
_QUEUED: Example = {"success": True, "status": "queued", **_IDS}


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

    scope = ApiScope.SEND
    example: ClassVar[Example] = {
        "instanceName": EXAMPLE_NAME,
        "phoneNumber": "5511999999999",
        "message": "Today's menu",
        "mediaUrl": "https://example.com/image.png",
        "mediaType": "image",
    }
    example_minimal: ClassVar[Example] = {
        "instanceName": EXAMPLE_NAME,
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

    scope = ApiScope.SEND
    example: ClassVar[Example] = {
        "instanceName": EXAMPLE_NAME,
        "phoneNumber": "5511999999999",
        "message": "See you at noon",
        "scheduledFor": "2026-01-31T12:00:00Z",
        "scheduleId": "visit-17",
    }
    example_minimal: ClassVar[Example] = {
        "instanceName": EXAMPLE_NAME,
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

    scope = ApiScope.SEND
    instance_fields = ("channelInstanceId", *NamedOperation.instance_fields)
    answers_outcome = True
    example: ClassVar[Example] = {
        "channel": "whatsapp",
        "channelInstanceId": EXAMPLE_NAME,
        "remoteJid": "5511999999999@s.whatsapp.net",
        "message": "Today's menu",
        "mediaUrl": "https://example.com/image.png",
        "mediaType": "image",
    }
    example_minimal: ClassVar[Example] = {
        "channelInstanceId": EXAMPLE_NAME,
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

    scope = ApiScope.SEND
    example: ClassVar[Example] = {
        "instanceName": EXAMPLE_NAME,
        "phoneNumber": "5511999999999",
        "message": "Hello",
    }
    answer_example: ClassVar[Any] = _QUEUED

    scheduled_for: FutureTime | None = Field(None, description="not before; up to 90 days ahead")
