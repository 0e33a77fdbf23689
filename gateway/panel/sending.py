"""Puts a message that a person wrote into the queue, by the same rules as the API."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.contract.building import build
from gateway.contract.send import OutgoingMessage, Queued
from gateway.contract.zapi.messages.media import SendAudio, SendDocument, SendImage, SendVideo
from gateway.instances.store import Instance
from gateway.media.sniffing import type_of
from gateway.panel.uploads import Upload
from gateway.panel.visit import Visit
from gateway.send_queue.enqueue_request import IdempotencyKey

MAX_UPLOAD_BYTES: Final = 100 * 1024 * 1024
_MIB: Final = 1024 * 1024
_KINDS: Final[Mapping[str, tuple[type[OutgoingMessage], str, int]]] = {
    **dict.fromkeys(
        ("image/jpeg", "image/png", "image/webp", "image/gif"), (SendImage, "image", 16 * _MIB)
    ),
    **dict.fromkeys(
        ("video/mp4", "video/quicktime", "video/webm"), (SendVideo, "video", 64 * _MIB)
    ),
    **dict.fromkeys(
        ("audio/ogg", "audio/mpeg", "audio/mp4", "audio/aac", "audio/wav"),
        (SendAudio, "audio", 64 * _MIB),
    ),
}
"""How a file is sent by its type, up to a size; every other one is sent as a document."""


async def send(
    visit: Visit,
    instance: Instance,
    declared: type[OutgoingMessage],
    fields: Mapping[str, Any],
    *,
    key: str = "",
    upload: Upload | None = None,
) -> Queued:
    """Queues a message as the user.

    Args:
        visit: of the user, who needs the scope of the message.
        instance: the instance that sends.
        declared: the class of the message.
        fields: as callers of the API write them.
        key: repeated with a form that is sent twice: it is queued once.
        upload: the file that the message names, see `upload_fields`.

    Raises:
        CallerError: the message may not be queued, and why.
        Unavailable: the storage or the database cannot be reached.
    """
    services, caller = visit.services.gateway, visit.caller
    caller.require_instance(instance.account_id, instance.id)
    caller.require(declared.scope)
    services.turns.note(instance.account_id)
    visit.services.admission.require_supported(instance, declared)
    message = build(declared, dict(fields))
    visit.services.admission.check(instance, message)
    async with services.turns.turn(instance.account_id):
        if upload:
            message = await services.intake.store_files(
                instance.account_id,
                instance.id,
                message,
                {_placeholder(upload): replace(upload.file, declared_name=upload.name)},
                upload.file.path.parent,
            )
        queued = await services.enqueuer.enqueue(
            instance, message, idempotency=_idempotency(key, message)
        )
    services.metrics.queued(message.kind(), instance.id)
    return queued


async def kind_of_upload(upload: Upload) -> tuple[type[OutgoingMessage], str]:
    """Returns as what a file is sent, and the field for it; its bytes decide, not its name."""
    found = await asyncio.to_thread(type_of, upload.file.path, upload.name, None)
    declared, field, max_bytes = _KINDS.get(found, (SendDocument, "document", MAX_UPLOAD_BYTES))
    if upload.file.size_bytes > max_bytes:
        return SendDocument, "document"
    return declared, field


def upload_fields(upload: Upload, field: str, text: str) -> Mapping[str, Any]:
    """Returns the fields of a message for a file with a caption."""
    fields = {field: _placeholder(upload)}
    if field == "document" and upload.name:
        fields["fileName"] = upload.name
    return {**fields, "caption": text} if text and field != "audio" else fields


def _placeholder(upload: Upload) -> str:
    return upload.file.sha256


def _idempotency(key: str, message: OutgoingMessage) -> IdempotencyKey | None:
    if not key:
        return None
    digest = hashlib.sha256(message.kind().encode() + message.model_dump_json().encode())
    return IdempotencyKey(f"panel-{key}", digest.digest())
