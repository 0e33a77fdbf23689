"""The traffic of an account as a series of sums, for charts."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import OmitIfNone, Wire
from gateway.contract.zapi.partner import PartnerOperation

STEP_UNIT_SECONDS = 300
MAX_POINTS = 1_000
_MAX_STEP_SECONDS = 366 * 86_400
_FIRST_YEAR, _LAST_YEAR = 2000, 2100


class TrafficPoint(Wire):
    """The sums of one step, which begins at `at`.

    `failed` counts messages that failed for good, `failures` by class of error, and
    `callbacksFailed` attempts to post one. `latencyMs` is the sum of the times from acceptance, or
    from the scheduled time, to WhatsApp's receipt; `latencyCounts` has how many messages took at
    most each of `latencyBoundsSeconds`, and at its end how many took longer.

    `waiting` is the most messages that waited for their turn at one time; they are counted once per
    minute. `callbackLagMs` is the sum, over the `callbacksTimed`, of the times from an event to the
    receiver's answer, and `callbackLagMaxMs` the longest of them.
    """

    at: datetime
    accepted: int
    sent: int
    failed: int
    failures: dict[str, int]
    received: int
    callbacks_delivered: int
    callbacks_failed: int
    latency_ms: int
    latency_counts: tuple[int, ...]
    waiting: int
    callbacks_timed: int
    callback_lag_ms: int
    callback_lag_max_ms: int


class Traffic(Wire):
    """What an account, or one instance, accepted, sent, received and delivered, and what waited."""

    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")
    step_seconds: int
    instance_id: str | None = OmitIfNone
    latency_bounds_seconds: tuple[float, ...]
    points: tuple[TrafficPoint, ...]


def _step(value: object) -> int:
    try:
        seconds = int(str(value))
    except ValueError:
        seconds = 0
    if not 0 < seconds <= _MAX_STEP_SECONDS or seconds % STEP_UNIT_SECONDS:
        raise PydanticCustomError("step", "must be a multiple of 300 seconds, at most 366 days")
    return seconds


def _in_range(at: datetime) -> datetime:
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise PydanticCustomError("time", "must be a time between the years 2000 and 2100")
    return at.astimezone(UTC)


_Time = Annotated[AwareDatetime, AfterValidator(_in_range)]


class ReadTraffic(PartnerOperation[Traffic], method="GET", path="/account/statistics"):
    """The traffic of the account by steps of time, or with `instanceId` that of one instance.

    `from` and `to` are times with an offset, by default the last 24 hours; `to` itself is not
    included. `step` is in seconds, a multiple of 300; at most 1000 points are answered, and without
    `step` at most 300. A point without activity has zeros. A node writes its sums every five
    minutes, so the newest ones come that much later. An extension.
    """

    absolute = True
    scope = ApiScope.READ
    example_minimal: ClassVar[Example] = {}
    example: ClassVar[Example] = {
        "from": "2026-01-31T00:00:00Z",
        "to": "2026-02-01T00:00:00Z",
        "step": 3600,
        "instanceId": "3C67AB641C8AA0412F6A2242B4E23AC7",
    }
    answer_example: ClassVar[Any] = {
        "from": "2026-01-31T12:00:00Z",
        "to": "2026-01-31T13:00:00Z",
        "stepSeconds": 3600,
        "latencyBoundsSeconds": [0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400],
        "points": [
            {
                "at": "2026-01-31T12:00:00Z",
                "accepted": 120,
                "sent": 115,
                "failed": 3,
                "failures": {"expired": 1, "refused": 2},
                "received": 48,
                "callbacksDelivered": 280,
                "callbacksFailed": 5,
                "latencyMs": 402500,
                "latencyCounts": [0, 12, 60, 40, 3, 0, 0, 0, 0, 0, 0, 0, 0],
                "waiting": 9,
                "callbacksTimed": 280,
                "callbackLagMs": 33600,
                "callbackLagMaxMs": 2140,
            }
        ],
    }

    since: _Time | None = Field(None, alias="from")
    until: _Time | None = Field(None, alias="to")
    step: Annotated[
        Annotated[int, BeforeValidator(_step)] | None,
        Field(description="seconds that each point covers, a multiple of 300"),
    ] = None
    instance_id: Annotated[
        str | None, Field(description="only this instance; without it, all of the account")
    ] = None
