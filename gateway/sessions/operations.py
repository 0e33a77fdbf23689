"""Handlers of operations on a session that need more than one call to it.

SessionRouter executes the others (a pairing code, the device) on the session itself.
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
_RESTORE_SESSION = "You need to restore the session."
_NOT_CONNECTED = "You are not connected."

_PIXELS_PER_MODULE = 6


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What these handlers work with."""

    database: Database
    router: SessionRouter
    instance: Instance


handlers = Handlers[SessionContext]()


@handlers.handles(ReadStatus)
async def read_status(context: SessionContext, _operation: ReadStatus) -> Status:
    connection = await connection_of(context.database, context.instance.id)
    state = ConnectionState(connection.state) if connection.state else None
    linked = state is not None and state.is_linked
    is_ordinary = connection.connected or state is None or connection.reason == state.sentence
    advice = _RESTORE_SESSION if linked else _NOT_CONNECTED
    return Status(
        connected=connection.connected,
        session=linked,
        created=epoch_ms(context.instance.created_at),
        error=_CONNECTED if connection.connected else advice,
        smartphone_connected=connection.connected,
        reason=None if is_ordinary else connection.reason,
    )


@handlers.handles(ReadQrCode)
async def read_qr_code(
    context: SessionContext, operation: ReadQrCode
) -> QrCode | AlreadyConnected | Picture:
    code = await context.router.execute(context.instance, ReadQrCode())
    if isinstance(code, QrCode) and operation.wants_the_file():
        return Picture(await _png_of(code), PNG)
    return code


@handlers.handles(ReadQrImage)
async def read_qr_image(
    context: SessionContext, operation: ReadQrImage
) -> QrImage | AlreadyConnected | Picture:
    code = await context.router.execute(context.instance, ReadQrCode())
    if not isinstance(code, QrCode):
        return code
    png = await _png_of(code)
    if operation.wants_the_file():
        return Picture(png, PNG)
    return QrImage(value=f"data:{PNG};base64,{base64.b64encode(png).decode()}")


async def _png_of(code: QrCode) -> bytes:
    return await asyncio.to_thread(_draw, code.value)  # takes long enough to delay other tasks


def _draw(text: str) -> bytes:
    picture = BytesIO()
    segno.make_qr(text, error="l").save(picture, kind="png", scale=_PIXELS_PER_MODULE)
    return picture.getvalue()
