"""Links a phone, unlinks it, and reads its data."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.instances import (
    AlreadyConnected,
    Device,
    DeviceModel,
    Disconnect,
    PhoneCode,
    QrCode,
    ReadDevice,
    ReadPhoneCode,
    ReadQrCode,
    RestoreSession,
)
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()


@operations.handles(ReadQrCode)
async def read_qr_code(session: WebSession, _pending: ReadQrCode) -> QrCode | AlreadyConnected:
    if session.supervisor.phone:
        return AlreadyConnected()
    text = await session.supervisor.code()
    return QrCode(value=text, qr_code=text)


@operations.handles(ReadPhoneCode)
async def read_phone_code(
    session: WebSession, operation: ReadPhoneCode
) -> PhoneCode | AlreadyConnected:
    if session.supervisor.phone:
        return AlreadyConnected()
    return PhoneCode(code=await session.supervisor.phone_code(operation.phone))


@operations.handles(Disconnect)
async def disconnect(session: WebSession, _pending: Disconnect) -> Value:
    """Succeeds also if no phone is linked."""
    await session.supervisor.log_out()
    return Value()


@operations.handles(RestoreSession)
async def restore_session(session: WebSession, _pending: RestoreSession) -> Value:
    return Value(value=session.supervisor.retry_now())


@operations.handles(ReadDevice)
async def read_device(session: WebSession, _pending: ReadDevice) -> Device:
    me = await session.call("me")
    name = session.device_name
    return Device(
        phone=me["JID"]["User"],
        img_url=None,
        about=None,
        name=me.get("PushName") or me.get("BussinessName") or None,
        device=DeviceModel(session_name=name, device_model=name),
        original_device=me.get("Platform") or "android",
        session_id=session.spec.epoch,
        is_business=bool(me.get("BussinessName")),
    )
