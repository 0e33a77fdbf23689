"""What can be made to go wrong with the next sends of an instance, and how that feels."""

import asyncio
from datetime import timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from gateway.clock import Clock
from gateway.errors import NotConnected, Refused, Restricted, TryAgainLater

_SLOW_SECONDS = 5.0
_RESTRICTED_SECONDS = 60.0


class FaultName(StrEnum):
    """The closed list; `accept_message` in sandbox.sql knows the first two by name."""

    DISCONNECT_BEFORE_SEND = "disconnect_before_send"
    CRASH_AFTER_ACCEPT = "crash_after_accept"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    TIMEOUT = "timeout"
    SLOW = "slow"
    RESTRICTED_UNTIL = "restricted_until"


class Fault(BaseModel):
    """Written as its bare name, or as an object where it takes a time."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    fault: FaultName
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    after_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    until: AwareDatetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: object) -> object:
        return {"fault": value} if isinstance(value, str) else value


async def suffer(fault: Fault, clock: Clock) -> None:
    """Raises what the sender is to see; returns, late, only where the message may yet go."""
    match fault.fault:
        case FaultName.DISCONNECT_BEFORE_SEND:
            raise NotConnected("The phone lost its network.")
        case FaultName.CRASH_AFTER_ACCEPT:
            raise ConnectionResetError("The connection broke before the answer came.")
        case FaultName.TRANSIENT:
            raise TryAgainLater("WhatsApp is busy.", after_seconds=fault.after_seconds)
        case FaultName.PERMANENT:
            raise Refused("WhatsApp refused the message.")
        case FaultName.RESTRICTED_UNTIL:
            wait = timedelta(
                seconds=_RESTRICTED_SECONDS if fault.seconds is None else fault.seconds
            )
            raise Restricted(
                "WhatsApp restricts the number.", until=fault.until or clock.now() + wait
            )
        case FaultName.TIMEOUT:
            await asyncio.Event().wait()
        case FaultName.SLOW:
            await clock.sleep(_SLOW_SECONDS if fault.seconds is None else fault.seconds)
