"""Answers about the session of an instance that take more than asking it.

What one question to the session answers (a pairing code, the device) is
not here: the Asker hands it on.
"""

import asyncio
import base64
from dataclasses import dataclass
from io import BytesIO

import segno

from gateway.clock import epoch_ms
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Picture
from gateway.contract.zapi.instances import (
    PNG,
    AlreadyConnected,
    QrCode,
    QrImage,
    ReadQrCode,
    ReadQrImage,
    ReadStatus,
    Status,
)
from gateway.database.pool import Database
from gateway.instances.connections import connection_of
from gateway.instances.store import Instance
from gateway.sessions.connection import ConnectionState
from gateway.sessions.router import SessionRouter

_CONNECTED = "You are already connected."
_TO_BE_RESTORED = "You need to restore the session."
_NOT_CONNECTED = "You are not connected."

_PIXELS_PER_MODULE = 6


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What the answers are made from."""

    database: Database
    router: SessionRouter
    instance: Instance


handlers = Handlers[SessionContext]()


@handlers.handles(ReadStatus)
async def read_status(context: SessionContext, _operation: ReadStatus) -> Status:
    connection = await connection_of(context.database, context.instance.id)
    state = ConnectionState(connection.state) if connection.state else None
    linked = state is not None and state.is_linked
    ordinary = connection.connected or state is None or connection.reason == state.sentence
    advice = _TO_BE_RESTORED if linked else _NOT_CONNECTED
    return Status(
        connected=connection.connected,
        session=linked,
        created=epoch_ms(context.instance.created_at),
        error=_CONNECTED if connection.connected else advice,
        smartphone_connected=connection.connected,
        reason=None if ordinary else connection.reason,
    )


@handlers.handles(ReadQrCode)
async def read_qr_code(
    context: SessionContext, operation: ReadQrCode
) -> QrCode | AlreadyConnected | Picture:
    shown = await context.router.execute(context.instance, ReadQrCode())
    if isinstance(shown, QrCode) and operation.wants_the_file():
        return Picture(await _drawn(shown), PNG)
    return shown


@handlers.handles(ReadQrImage)
async def read_qr_image(
    context: SessionContext, operation: ReadQrImage
) -> QrImage | AlreadyConnected | Picture:
    shown = await context.router.execute(context.instance, ReadQrCode())
    if not isinstance(shown, QrCode):
        return shown
    png = await _drawn(shown)
    if operation.wants_the_file():
        return Picture(png, PNG)
    return QrImage(value=f"data:{PNG};base64,{base64.b64encode(png).decode()}")


async def _drawn(code: QrCode) -> bytes:
    return await asyncio.to_thread(_draw, code.value)  # long enough to hold others up


def _draw(text: str) -> bytes:
    picture = BytesIO()
    segno.make_qr(text, error="l").save(picture, kind="png", scale=_PIXELS_PER_MODULE)
    return picture.getvalue()
