"""A test message on its way: accepted, sending, sent, delivered, read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.contract.extensions.queue_control import ReadQueued, TrackedMessage
from gateway.errors import NotFound
from gateway.instances.store import Instance
from gateway.panel.addresses import is_id
from gateway.panel.languages import N_
from gateway.panel.message_words import MessageWords
from gateway.panel.visit import Visit

_FINAL: Final = frozenset({"read", "played", "failed", "canceled"})
_HASTY_SECONDS, _PATIENT_SECONDS, _LONGEST_SECONDS = 60, 600, 86_400
_REACHED: Final = {
    "processing": 1,
    "retrying": 1,
    "sent": 2,
    "delivered": 3,
    "read": 4,
    "played": 4,
}


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of a message; its `label` is an English msgid, `at` None until it is reached."""

    label: str
    is_reached: bool
    is_now: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class TestProgress:
    """How far a message came; `ask_again_seconds` is 0 where nothing more is to come."""

    message: TrackedMessage
    steps: tuple[Step, ...]
    ask_again_seconds: int
    reason: str
    """Why it waits; empty unless it does."""

    @property
    def has_failed(self) -> bool:
        return self.message.status == "failed"


async def progress_of(visit: Visit, instance: Instance, zaap_id: str) -> TestProgress | None:
    """Returns how far a message came; None if the instance has no such message."""
    if not is_id(zaap_id):
        return None
    try:
        message: TrackedMessage = await visit.execute(ReadQueued(zaap_id=zaap_id), instance)
    except NotFound:
        return None
    age = (visit.context.clock.now() - message.created_at).total_seconds()
    words = MessageWords(visit)
    return TestProgress(
        message, _steps(message), _pause(message.status, age), words.reason(message)
    )


def _steps(message: TrackedMessage) -> tuple[Step, ...]:
    reached = _REACHED.get(message.status, 0)
    stages = (
        (N_("Accepted"), message.created_at),
        (N_("Sending"), message.tries[-1].started_at if message.tries else None),
        (N_("Sent"), message.sent_at),
        (N_("Delivered"), message.delivered_at),
        (N_("Read"), message.read_at),
    )
    return tuple(
        Step(label, number <= reached, number == reached, at)
        for number, (label, at) in enumerate(stages)
    )


def _pause(status: str, age_seconds: float) -> int:
    """Returns after how many seconds the page asks again: often at first, then seldom."""
    if status in _FINAL or age_seconds > _LONGEST_SECONDS:
        return 0
    if age_seconds < _HASTY_SECONDS:
        return 1
    return 5 if age_seconds < _PATIENT_SECONDS else 30
