"""The head of a queue: what holds it, what is sent now and next, whatever waits behind."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator

from gateway.contract.extensions.queue_lanes import LaneMessage, LaneName
from gateway.contract.operation import Operation
from gateway.contract.paging import between
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire

_MAX_FIRST = 50


class QueueHead(Wire):
    """What holds the queue, and its next messages.

    `seconds_per_message` is the mean pause with the delays that the next messages ask for;
    `hold_seconds` the rest of a hold that ends by itself. `first` has the next messages of each
    lane.
    """

    connected: bool
    paused: bool
    hold_until: datetime | None
    hold_reason: str | None
    hold_kind: Literal["restricted", "daily_limit", "linking"] | None
    hold_seconds: float
    daily_limit: int
    sent_today: int | None
    seconds_per_message: float
    sending: LaneMessage | None
    first: dict[LaneName, tuple[LaneMessage, ...]]


class ReadQueueHead(Operation[QueueHead]):
    """Reads the state of a queue and its next messages without counting; no route has it."""

    scope = ApiScope.READ

    first: Annotated[int, BeforeValidator(between(0, _MAX_FIRST))] = 0
