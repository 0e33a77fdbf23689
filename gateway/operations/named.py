"""Handles the routes about one instance that is given by name: each leads to operations on it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from gateway.contract.extensions.named.sessions import (
    ConnectNamed,
    NamedConnection,
    NamedRecovery,
    NamedRetry,
    ReadNamedStatus,
    RecoverNamed,
    RetryNamedQueue,
)
from gateway.contract.extensions.queue_control import RetryFailed, RetryQueued
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Operation
from gateway.contract.zapi.instances import (
    QrCode,
    QrImage,
    ReadQrCode,
    ReadQrImage,
    ReadStatus,
    Restart,
    Status,
)
from gateway.instances.store import Instance


@dataclass(frozen=True, slots=True)
class NamedContext:
    """The instance, and what executes operations on it for this caller."""

    instance: Instance
    execute: Callable[[Operation[Any]], Awaitable[Any]]


handlers = Handlers[NamedContext]()


@handlers.handles(ConnectNamed)
async def connect(context: NamedContext, _operation: ConnectNamed) -> NamedConnection:
    status: Status = await context.execute(ReadStatus())
    if status.connected:
        return _connection(context, status)
    code = await context.execute(ReadQrCode())
    image = await context.execute(ReadQrImage())
    if not (isinstance(code, QrCode) and isinstance(image, QrImage)):  # linked meanwhile
        return _connection(context, await context.execute(ReadStatus()))
    return _connection(context, status, code=code.value, image=image.value)


@handlers.handles(ReadNamedStatus)
async def read_status(context: NamedContext, _operation: ReadNamedStatus) -> NamedConnection:
    return _connection(context, await context.execute(ReadStatus()))


@handlers.handles(RetryNamedQueue)
async def retry(context: NamedContext, operation: RetryNamedQueue) -> NamedRetry:
    if operation.message_id is None:
        all_failed = await context.execute(RetryFailed())
        return NamedRetry(retried=all_failed.retried, queue_length=all_failed.queue_length)
    one = await context.execute(RetryQueued(zaap_id=operation.message_id))
    return NamedRetry(retried=1, queue_length=one.queue_length)


@handlers.handles(RecoverNamed)
async def recover(context: NamedContext, _operation: RecoverNamed) -> NamedRecovery:
    await context.execute(Restart())
    return NamedRecovery(instance_id=context.instance.id, instance_name=context.instance.name)


def _connection(
    context: NamedContext, status: Status, *, code: str | None = None, image: str | None = None
) -> NamedConnection:
    state = "connected" if status.connected else "qr" if code else "disconnected"
    return NamedConnection(
        instance_id=context.instance.id,
        instance_name=context.instance.name,
        status=state,
        connected=status.connected,
        qr_code=code,
        qr_image=image,
        error=None if code else status.error,
        reason=status.reason,
    )
