"""A message that a worker claimed, and where the worker stands in its queue."""

import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gateway.contract.send import Priority

FIRST_POSITION: Final = -(2**63)
_MAX_DOUBTFUL_CLAIMS = 8
_LANES: Final = tuple(Priority)
LANE_WEIGHTS: Final[Mapping[Priority, int]] = {
    Priority.HIGH: 4,
    Priority.NORMAL: 2,
    Priority.BULK: 1,
}


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A queued message that only this worker may send."""

    instance_id: str
    id: int
    zaap_id: str
    message_id: str
    type: str
    version: int
    phone: str
    payload: Mapping[str, Any]
    priority: int
    position: int
    attempts: int
    max_attempts: int
    created_at: datetime
    claimed_epoch: int
    claim_id: uuid.UUID | None
    """The claim that took the row; None if a node of an older version took it."""
    is_expired: bool
    """The message expired before it was claimed. It must fail, and no attempt may start."""
    reordered: int
    deferrals: int = field(default=0, kw_only=True)
    """How many attempts in a row did not count."""
    known_chat: str | None = field(default=None, kw_only=True)
    """The number by which WhatsApp knows the recipient; None if unknown, and for a group."""

    @property
    def track_id(self) -> str | None:
        """The caller's own reference."""
        return self.payload.get("track_id")

    @property
    def wanted_at(self) -> datetime:
        """When the caller wanted it sent: when it was accepted, or the time it is scheduled for."""
        scheduled_for = self.payload.get("scheduled_for")
        if scheduled_for is None:
            return self.created_at
        return max(self.created_at, datetime.fromisoformat(scheduled_for))

    @property
    def chat(self) -> str:
        """The one name of its chat, whichever name of the person the caller wrote."""
        return self.known_chat or self.phone


def _nothing_claimed() -> dict[Priority, int]:
    return dict.fromkeys(_LANES, FIRST_POSITION)


@dataclass(slots=True)
class ClaimCursor:
    """Where a worker stands in its queue between two claims.

    Lanes: `served` counts the messages of each lane, divided by the lane's weight. The lane with
    the lowest count goes next. `claimed_up_to` is the position from which each lane is read, so
    that a claim does not visit the dead versions of rows that have left. A row that appears before
    that position raises the queue's `reordered`; the lanes are then read from the front again.

    Lost answers: the worker makes `claim_id` before it claims, and keeps it until a row comes. If
    an answer is lost, a repeated claim with the same id gets the row that the lost claim took.
    Postgres may run a statement after its connection was lost. Such a statement could take another
    row, so an id whose answer was lost becomes `doubtful`, and later claims name it as well. The id
    of a row that the worker dropped becomes doubtful too.

    Parked messages: while `has_parked`, each claim arranges the queue first. The worker sets it
    before it parks a message; only a statement that finds no parked message clears it.
    """

    instance_id: str
    epoch: int
    reordered: int = -1
    claimed_up_to: dict[Priority, int] = field(default_factory=_nothing_claimed)
    served: dict[Priority, float] = field(default_factory=lambda: dict.fromkeys(_LANES, 0.0))
    claim_id: uuid.UUID | None = None
    last_claim_id: uuid.UUID | None = None
    """The claim that brought the last row."""
    answer_lost: bool = False
    """Whether Postgres' answer to a claim with `claim_id` was lost."""
    doubtful: deque[uuid.UUID] = field(default_factory=lambda: deque(maxlen=_MAX_DOUBTFUL_CLAIMS))
    has_parked: bool = True
    """Whether the queue may have parked messages, or messages behind them."""
    all_files: bool = True
    """Whether every message that awaits its file is due: a new worker fetches the files again."""
    ready_ids: set[int] = field(default_factory=set)
    """The messages whose files have come, or failed to come."""
    moved: int = 0
    """How many messages the last claim parked, put behind, withheld or returned."""
    withholds: bool = True
    """Whether WhatsApp may let the number write to known chats only."""

    def lanes(self) -> list[Priority]:
        """Returns the lanes in the order in which a claim reads them."""
        return sorted(_LANES, key=lambda lane: (self.served[lane], lane))

    def advance(self, claimed: ClaimedMessage) -> None:
        """Notes a claimed row: its lane was served, and reading goes on after it."""
        lane = Priority(claimed.priority)
        for other in self.lanes():
            if other is lane:
                break
            # The lane was empty. It catches up here, or it would send a burst later.
            self.served[other] = self.served[lane]
        self.served[lane] += 1 / LANE_WEIGHTS[lane]
        if claimed.reordered != self.reordered:
            self.reordered = claimed.reordered
            self.claimed_up_to = _nothing_claimed()
        self.claimed_up_to[lane] = claimed.position
        self.ready_ids.discard(claimed.id)
        self._end_claim()

    def note_arranged(self, *, moved: int, has_parked: bool) -> None:
        """Notes that the queue was arranged before a claim."""
        self.moved, self.has_parked, self.all_files = moved, has_parked, False

    def drop_row(self) -> None:
        """Notes that the worker gave up the last row without recording an outcome."""
        if self.last_claim_id and self.last_claim_id not in self.doubtful:
            self.doubtful.append(self.last_claim_id)

    def _end_claim(self) -> None:
        if self.answer_lost and self.claim_id:
            self.doubtful.append(self.claim_id)
        self.last_claim_id, self.claim_id, self.answer_lost = self.claim_id, None, False


def positions_of(cursors: Sequence[ClaimCursor]) -> dict[str, list[int]]:
    """Returns the positions from which each lane is read, as parameters of a statement."""
    return {
        "from_high": [cursor.claimed_up_to[Priority.HIGH] for cursor in cursors],
        "from_normal": [cursor.claimed_up_to[Priority.NORMAL] for cursor in cursors],
        "from_bulk": [cursor.claimed_up_to[Priority.BULK] for cursor in cursors],
    }
