"""What an accepted message is answered with."""

from collections.abc import Sequence
from typing import Any

from gateway.contract.send import Queued
from gateway.send_queue.broadcasts import MemberResult


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
