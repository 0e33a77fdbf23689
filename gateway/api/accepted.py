"""What an accepted message is answered with."""

import re
from collections.abc import Sequence
from typing import Any

from gateway.contract.send import Queued
from gateway.send_queue.broadcasts import MemberResult

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\b", re.IGNORECASE)
_MAX_WAIT_SECONDS = 60


def seconds_to_wait(prefer: str) -> int:
    """Returns the seconds of `Prefer: wait=20`; ignores a preference it cannot read (RFC 7240)."""
    found = _WAIT.search(prefer)
    return min(int(found[1]), _MAX_WAIT_SECONDS) if found else 0


def ids_of(queued: Queued) -> dict[str, Any]:
    ids = {"zaapId": queued.zaap_id, "messageId": queued.message_id, "id": queued.id}
    return {**ids, "scheduledFor": queued.scheduled_for} if queued.scheduled_for else ids


def list_answer(results: Sequence[MemberResult]) -> dict[str, Any]:
    """Returns the ids of the first message that was queued, and in `messages` those of each."""
    first = next(result.queued for result in results if result.queued)
    return {**ids_of(first), "messages": [_shown(result) for result in results]}


def _shown(result: MemberResult) -> dict[str, Any]:
    if result.queued is None:
        return {"phone": result.phone, "error": result.error}
    ids = ids_of(result.queued)
    return {"phone": result.phone, "zaapId": ids["zaapId"], "messageId": ids["messageId"]}
