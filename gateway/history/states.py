"""The state of a message, whether it is in the queue or in history."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.contract.catalogue import catalogue
from gateway.database.payload_seal import Unopened


@dataclass(frozen=True, slots=True)
class MessageState:
    """A row of the view `message_states`; columns of the queue are None for messages in history.

    `settled` (a column) means that the state is final.
    """

    instance_id: str
    message_id: str
    zaap_id: str | None
    phone: str
    sender: str | None
    from_me: bool
    type: str
    payload: Mapping[str, Any]
    status: str
    attempts: int
    error: str | None
    recorded_at: datetime
    created_at: datetime
    attempt_started_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    played_at: datetime | None
    failed_at: datetime | None
    sequence_number: int | None
    priority: int | None
    max_attempts: int | None
    due_at: datetime | None
    expires_at: datetime | None
    settled: bool
    in_queue: bool

    def shown(self) -> dict[str, Any]:
        """Returns the fields of a MessageRecord."""
        scheduled_for = self.payload.get("scheduled_for") if self.zaap_id else None
        return {
            "message_id": self.message_id,
            "zaap_id": self.zaap_id,
            "phone": self.phone,
            "sender": self.sender,
            "from_me": self.from_me,
            "type": self.type,
            "message": self._text(),
            "status": self.status,
            "error": self._error(),
            "track_id": self.payload.get("track_id") if self.zaap_id else None,
            "attempts": self.attempts,
            "created_at": utc(self.created_at),
            "scheduled_for": scheduled_for and datetime.fromisoformat(scheduled_for),
            "sent_at": utc(self.sent_at),
            "delivered_at": utc(self.delivered_at),
            "read_at": utc(self.read_at),
            "played_at": utc(self.played_at),
            "failed_at": utc(self.failed_at),
            "recorded_at": utc(self.recorded_at),
        }

    def _error(self) -> str | None:
        return self.payload.reason if isinstance(self.payload, Unopened) else self.error

    def _text(self) -> str | None:
        if isinstance(self.payload, Unopened):
            return None
        if kind := catalogue().sends.get(self.type) if self.zaap_id else None:
            return kind.model_validate(self.payload).readable_text()
        content = self.payload.get(self.type)  # stored for received messages
        found = (
            content.get("message", content.get("caption")) if isinstance(content, dict) else None
        )
        return found if isinstance(found, str) else None


def utc(time: datetime | None) -> datetime | None:
    return time and time.astimezone(UTC)
