"""Events and the answers to them."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from gateway.contract.callbacks.base import Example
from gateway.contract.callbacks.received import GROUP, MessageCallback, ReferencedMessage
from gateway.contract.wire import Wire


class EventLocation(Wire):
    """Empty for an event without a place."""

    name: str | None = None
    address: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class EventContent(Wire):
    """`scheduleTime` in seconds."""

    name: str
    description: str | None = None
    canceled: bool = False
    join_link: str | None = None
    schedule_time: int
    location: EventLocation | None = None


class EventReceived(MessageCallback):
    """An invitation to an event."""

    event: EventContent

    variants: ClassVar[Mapping[str, Example]] = {
        "event": {
            **GROUP,
            "event": {
                "name": "Dinner",
                "description": "At the usual place",
                "canceled": False,
                "joinLink": "https://call.whatsapp.com/video/v9123XNFG50L6iO79NddXNvKQr6bb3",
                "scheduleTime": 1769886000,
                "location": {},
            },
        }
    }


class EventResponseContent(Wire):
    """`time` in milliseconds."""

    response: Literal["GOING", "NOT_GOING", "MAYBE"]
    response_from: str | None = None
    time: int | None = None
    referenced_message: ReferencedMessage | None = None


class EventResponseReceived(MessageCallback):
    """An answer to an invitation."""

    event_response: EventResponseContent

    variants: ClassVar[Mapping[str, Example]] = {
        "event-response": {
            **GROUP,
            "eventResponse": {
                "response": "GOING",
                "responseFrom": "5511988888888",
                "time": 1769860800000,
                "referencedMessage": {
                    "messageId": "D2D612289D9E8F62307D72409A8D9DC3",
                    "fromMe": False,
                    "phone": "120363019502650977-group",
                    "participant": "5511977777777",
                },
            },
        }
    }
