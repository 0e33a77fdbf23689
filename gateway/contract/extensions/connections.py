"""The connections of an instance: its ways to WhatsApp, of which one is active."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.operation import Operation, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import OmitIfNone, Wire

_CREATED, _NOT_FOUND, _CONFLICT, _UNAVAILABLE = 201, 404, 409, 503
_MAX_MINUTES = 1_440
_MAX_MESSAGES, _MIN_WAIT_SECONDS, _MAX_WAIT_SECONDS = 100, 60, 86_400
_PATH = "/connections"
_DONE = {"value": True}

ConnectionMode = Literal["active", "standby"]
ConnectionHealth = Literal["healthy", "unhealthy", "recovering", "unknown"]
Fallback = Literal["off", "same-number", "any"]


class HealthState(Wire):
    """What the checks of a connection found.

    `unhealthy`: three checks in a row failed, or too many accepted messages have no receipt.
    `recovering`: a check succeeded again; it is `healthy` after ten good minutes. `unknown`: it is
    not checked, because no phone is linked or no node has the instance.
    """

    status: ConnectionHealth
    since: datetime | None
    reason: str | None
    latency_ms: Annotated[int | None, Field(description="of the latest check")]
    error_rate: Annotated[
        float | None, Field(description="share of the latest 20 checks that failed, 0 to 1")
    ]
    checked_at: datetime | None


class EventCounts(Wire):
    """How many events the connection reported, and how many of these are stored and processed."""

    reported: int
    stored: int
    processed: int


class ShownConnection(Wire):
    """A way of the instance to WhatsApp; its settings are never shown.

    `state` is the last one that a session reported; null before the first. `repairs` counts how
    often the connection was opened again since it was well; `nextRepairAt` is the time of the next.
    """

    id: str
    provider: str
    mode: ConnectionMode
    position: int
    connected: bool
    state: str | None
    reason: str | None
    since: datetime | None
    health: HealthState
    last_error: str | None
    last_error_at: datetime | None
    repairs: int
    next_repair_at: datetime | None = OmitIfNone
    events: EventCounts


class ReceiptAlarm(Wire):
    """When accepted messages without a receipt count as bad health.

    That is if `missingReceipts` of the last `ofMessages` messages have none `waitSeconds` after
    WhatsApp accepted them. That is an alarm, and nothing is sent again.
    """

    missing_receipts: int
    of_messages: int
    wait_seconds: int


class ConnectionSettings(Wire):
    """The rules of an instance for its connections."""

    fallback: Fallback
    receipt_alarm: ReceiptAlarm
    receipt_missing_minutes: Annotated[
        int, Field(description="after so many a ReceiptMissingCallback; 0: none")
    ]
    notify_refused: Annotated[
        bool, Field(description="whether a ConnectionRefusedCallback is posted")
    ]


class ConnectionList(Wire):
    """The connections of an instance in their order, and its rules for them."""

    connections: tuple[ShownConnection, ...]
    settings: ConnectionSettings


_CONNECTION: Example = {
    "id": "5F1E0B7A1D2F4E6C8B0A9D7F5E3C1B2A",
    "provider": "web-engine",
    "mode": "active",
    "position": 1,
    "connected": True,
    "state": "connected",
    "reason": None,
    "since": "2026-01-31T12:00:00Z",
    "health": {
        "status": "healthy",
        "since": "2026-01-31T12:00:30Z",
        "reason": None,
        "latencyMs": 84,
        "errorRate": 0.0,
        "checkedAt": "2026-01-31T14:20:00Z",
    },
    "lastError": "The phone is linked, but WhatsApp is out of reach.",
    "lastErrorAt": "2026-01-30T23:10:04Z",
    "repairs": 0,
    "events": {"reported": 1204, "stored": 1204, "processed": 1204},
}
_STANDBY: Example = {
    "id": "9C3D5E7F1A2B4C6D8E0F1A3B5C7D9E1F",
    "provider": "other-engine",
    "mode": "standby",
    "position": 2,
    "connected": False,
    "state": None,
    "reason": None,
    "since": None,
    "health": {
        "status": "unknown",
        "since": None,
        "reason": None,
        "latencyMs": None,
        "errorRate": None,
        "checkedAt": None,
    },
    "lastError": None,
    "lastErrorAt": None,
    "repairs": 0,
    "events": {"reported": 0, "stored": 0, "processed": 0},
}
_SETTINGS: Example = {
    "fallback": "off",
    "receiptAlarm": {"missingReceipts": 10, "ofMessages": 10, "waitSeconds": 3600},
    "receiptMissingMinutes": 15,
    "notifyRefused": True,
}


class ListConnections(Operation[ConnectionList], method="GET", path=_PATH):
    """The connections of the instance with their state, health and latest error.

    An instance has one from the start. Exactly one is active: messages leave and arrive through it.
    """

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = {"connections": [_CONNECTION], "settings": _SETTINGS}


class AddConnection(Operation[ShownConnection], method="POST", path=_PATH, answer_status=_CREATED):
    """Adds a standby with another provider; its settings are stored encrypted.

    This version stores a standby and does not open it: nothing is linked, sent or received through
    it. Refused with 409 if the instance has a connection of this provider, and while a node of a
    release runs that knows only one connection.
    """

    scope = ApiScope.MANAGE
    failures = (_CONFLICT,)
    example: ClassVar[Example] = {"provider": "other-engine", "settings": {"apiKey": "0123456789"}}
    example_minimal: ClassVar[Example] = {"provider": "other-engine"}
    answer_example: ClassVar[Any] = _STANDBY

    provider: Annotated[str, Field(description="one of `GET /providers`")]
    settings: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="what the provider itself needs"
    )


class DeleteConnection(Operation[Value], method="DELETE", path=_PATH + "/{connection_id}"):
    """Deletes a standby. The active connection is refused with 409: it goes with its instance."""

    scope = ApiScope.MANAGE
    failures = (_NOT_FOUND, _CONFLICT)
    example: ClassVar[Example] = {"connectionId": "9C3D5E7F1A2B4C6D8E0F1A3B5C7D9E1F"}
    answer_example: ClassVar[Any] = _DONE

    connection_id: str


class ChangeConnectionSettings(
    Operation[ConnectionSettings], method="PUT", path=_PATH + "/settings"
):
    """Sets the rules of the instance for its connections; what is left out stays as it is.

    `fallback` is `off` in this version: no message moves to another connection by itself.
    """

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {
        "fallback": "off",
        "missingReceipts": 10,
        "ofMessages": 10,
        "receiptWaitSeconds": 3600,
        "receiptMissingMinutes": 15,
        "notifyRefused": True,
    }
    example_minimal: ClassVar[Example] = {"fallback": "off"}
    answer_example: ClassVar[Any] = _SETTINGS

    fallback: Fallback | None = None
    of_messages: Annotated[int | None, Field(ge=1, le=_MAX_MESSAGES)] = None
    missing_receipts: Annotated[
        int | None, Field(ge=0, le=_MAX_MESSAGES, description="0 switches the alarm off")
    ] = None
    receipt_wait_seconds: Annotated[
        int | None, Field(ge=_MIN_WAIT_SECONDS, le=_MAX_WAIT_SECONDS)
    ] = None
    receipt_missing_minutes: Annotated[
        int | None,
        Field(
            ge=0,
            le=_MAX_MINUTES,
            description="after so many without a receipt each message has a "
            "ReceiptMissingCallback; 0, the default, for none",
        ),
    ] = None
    notify_refused: Annotated[
        bool | None,
        Field(
            description="post a ConnectionRefusedCallback when WhatsApp refused the connection "
            "five times; off by default"
        ),
    ] = None

    @field_validator("fallback")
    @classmethod
    def _is_off(cls, fallback: Fallback | None) -> Fallback | None:
        if fallback in (None, "off"):
            return fallback
        raise PydanticCustomError(
            "fallback", "must be off: this version does not move messages between connections"
        )

    @field_validator("missing_receipts")
    @classmethod
    def _is_not_above(cls, missing: int | None, known: ValidationInfo) -> int | None:
        most = known.data.get("of_messages")
        if missing is not None and most is not None and missing > most:
            raise PydanticCustomError("missing_receipts", "must not be more than ofMessages")
        return missing


class RecoverConnection(Operation[Value], method="POST", path="/connection/recover"):
    """Closes the session of the active connection and opens it again now; the phone stays linked.

    A connection that fails is opened again by itself, with pauses that grow. This ends the pause,
    also that after a ban or after the session was opened elsewhere. The queue goes on.
    """

    scope = ApiScope.MANAGE
    answer_example: ClassVar[Any] = _DONE
    failures = (_UNAVAILABLE,)
