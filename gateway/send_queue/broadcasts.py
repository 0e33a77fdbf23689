"""Enqueues a message to a broadcast list: once for each member."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.contract.send import OutgoingMessage, Queued
from gateway.contract.zapi.broadcasts import LIST_ENDING
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import GatewayError, InvalidRequest
from gateway.instances.store import Instance
from gateway.send_queue.enqueue import Enqueuer
from gateway.send_queue.enqueue_request import IdempotencyKey

_MEMBERS = query("send_queue", "find_broadcast_members")
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _Members:
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemberResult:
    """The message to one member, or why the queue did not take it."""

    phone: str
    queued: Queued | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Broadcasts:
    """Sends to lists; every message enters the queue as any other does."""

    database: Database
    enqueuer: Enqueuer

    async def enqueue(
        self, instance: Instance, message: OutgoingMessage, *, idempotency: IdempotencyKey | None
    ) -> Sequence[MemberResult] | None:
        """Returns a result for each member, in the order of the list; at least one is queued.

        None if the gateway has no such list: it may be one of the phone's own.

        Raises:
            InvalidRequest: the list has no members.
            GatewayError: the queue took no message; the error is that of one member.
        """
        phones = await self._members(instance, message.phone)
        if phones is None:
            return None
        results: list[MemberResult] = []
        errors: list[GatewayError] = []
        for start in range(0, len(phones), _AT_ONCE):
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(self._enqueue(instance, message, phone, idempotency, errors))
                    for phone in phones[start : start + _AT_ONCE]
                ]
            results += [task.result() for task in running]
        if not any(result.queued for result in results):
            raise errors[0]
        return results

    async def _members(self, instance: Instance, chat: str) -> tuple[str, ...] | None:
        found = await self.database.fetch_one(
            _Members, _MEMBERS, instance_id=instance.id, id=chat.removesuffix(LIST_ENDING)
        )
        if found is None:
            return None
        if not found.phones:
            raise InvalidRequest("phone: the broadcast list has no members")
        return found.phones

    async def _enqueue(
        self,
        instance: Instance,
        message: OutgoingMessage,
        phone: str,
        idempotency: IdempotencyKey | None,
        errors: list[GatewayError],
    ) -> MemberResult:
        try:
            queued = await self.enqueuer.enqueue(
                instance,
                message.model_copy(update={"phone": phone}),
                idempotency=_key_of_member(idempotency, phone),
            )
        except GatewayError as error:
            errors.append(error)
            return MemberResult(phone, error=str(error))
        return MemberResult(phone, queued)


def is_list(message: OutgoingMessage) -> bool:
    return message.phone.endswith(LIST_ENDING)


def _key_of_member(idempotency: IdempotencyKey | None, phone: str) -> IdempotencyKey | None:
    """Returns a key of its own for each member, so that a repeated request finds each message."""
    if idempotency is None:
        return None
    digest = hashlib.sha256(f"{phone}\n{idempotency.key}".encode())
    return IdempotencyKey(f"broadcast {digest.hexdigest()}", idempotency.body_hash)
