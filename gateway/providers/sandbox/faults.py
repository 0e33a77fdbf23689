"""Faults that can be planned for the next sends of an instance, and their effects."""

import asyncio
from datetime import timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from gateway.clock import Clock
from gateway.errors import NotConnected, Reach, Refused, Restricted, TryAgainLater

_SLOW_SECONDS = 5.0
_RESTRICTED_SECONDS = 60.0


class FaultName(StrEnum):
    """All faults; `accept_message` in sandbox.sql names the first two."""

    DISCONNECT_BEFORE_SEND = "disconnect_before_send"
    CRASH_AFTER_ACCEPT = "crash_after_accept"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    TIMEOUT = "timeout"
    SLOW = "slow"
    RESTRICTED_UNTIL = "restricted_until"


class Fault(BaseModel):
    """A planned fault, in JSON its name alone or an object with a time and a reach."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    fault: FaultName
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    after_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    until: AwareDatetime | None = None
    reach: Reach | None = None
    counts: bool = True

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: object) -> object:
        return {"fault": value} if isinstance(value, str) else value


async def apply_fault(fault: Fault, clock: Clock) -> None:
    """Raises the error of the fault; after a slow fault it returns, and the message is accepted."""
    match fault.fault:
        case FaultName.DISCONNECT_BEFORE_SEND:
            raise NotConnected("The phone lost its network.")
        case FaultName.CRASH_AFTER_ACCEPT:
            raise ConnectionResetError("The connection broke before the answer came.")
        case FaultName.TRANSIENT:
            raise TryAgainLater(
                "WhatsApp is busy.",
                after_seconds=fault.after_seconds,
                reach=fault.reach or Reach.CHAT,
                counts=fault.counts,
            )
        case FaultName.PERMANENT:
            raise Refused("WhatsApp refused the message.")
        case FaultName.RESTRICTED_UNTIL:
            wait = timedelta(
                seconds=_RESTRICTED_SECONDS if fault.seconds is None else fault.seconds
            )
            raise Restricted(
                "WhatsApp restricts the number.",
                until=fault.until or clock.now() + wait,
                reach=fault.reach or Reach.QUEUE,
            )
        case FaultName.TIMEOUT:
            await asyncio.Event().wait()
        case FaultName.SLOW:
            await clock.sleep(_SLOW_SECONDS if fault.seconds is None else fault.seconds)
