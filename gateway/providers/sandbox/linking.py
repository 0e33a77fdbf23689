"""Links and unlinks the phone, and describes it."""

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
from gateway.errors import NotConnected
from gateway.providers.sandbox.account import account_of
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.world import PhoneState
from gateway.sessions.connection import ConnectionState

operations: Handlers[SandboxSession] = Handlers()

_CONNECTED = ConnectionState.CONNECTED
_LINKED = (ConnectionState.CONNECTED, ConnectionState.DISCONNECTED)


@operations.handles(ReadQrCode)
async def read_qr_code(
    session: SandboxSession, _operation: ReadQrCode
) -> QrCode | AlreadyConnected:
    if (await _look(session)).state is _CONNECTED:
        return AlreadyConnected()
    text = session.qr_text()
    return QrCode(value=text, qr_code=text)


@operations.handles(ReadPhoneCode)
async def read_phone_code(
    session: SandboxSession, operation: ReadPhoneCode
) -> PhoneCode | AlreadyConnected:
    if (await _look(session)).state is _CONNECTED:
        return AlreadyConnected()
    return PhoneCode(code=session.pairing_code(operation.phone))


@operations.handles(Disconnect)
async def disconnect(session: SandboxSession, _operation: Disconnect) -> Value:
    """Succeeds also if no phone was linked."""
    await _change(session, ConnectionState.LOGGED_OUT)
    return Value()


@operations.handles(RestoreSession)
async def restore_session(session: SandboxSession, _operation: RestoreSession) -> Value:
    return Value(value=await _change(session, _CONNECTED))


@operations.handles(ReadDevice)
async def read_device(session: SandboxSession, _operation: ReadDevice) -> Device:
    seen = await _look(session)
    if seen.state is not _CONNECTED:
        raise NotConnected(seen.state.sentence)
    account = await account_of(session)
    return Device(
        phone=seen.phone,
        img_url=account.picture,
        about=account.about,
        name=account.name,
        device=DeviceModel(session_name="Gateway", device_model="Sandbox"),
        original_device="android",
        session_id=session.spec.epoch,
        is_business=False,
    )


async def _look(session: SandboxSession) -> PhoneState:
    session.require_phone()
    return await session.context.world.look(session.spec.instance_id)


async def _change(session: SandboxSession, state: ConnectionState) -> bool:
    """Changes the state and emits the event; returns False if no phone is linked."""
    session.require_phone()
    linked = await session.context.world.change_state(
        session.spec.instance_id, state, allowed=_LINKED
    )
    session.context.wake_within(0)
    return linked
