"""Registration of the simulated number, its e-mail and PIN, and call tokens.

Every code is accepted but 000000. A number that ends in 0000 is banned.
"""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success
from gateway.contract.zapi.calls import (
    CallToken,
    MakeCallToken,
    ReadSip,
    RenewSipToken,
    SipCredentials,
)
from gateway.contract.zapi.mobile import (
    AnswerCaptcha,
    Availability,
    CheckRegistration,
    CodeConfirmed,
    CodeRequested,
    ConfirmCode,
    ConfirmPin,
    EmailChanged,
    EmailState,
    PinRemoved,
    PinState,
    ReadEmail,
    ReadPin,
    RecoverPin,
    RemoveEmail,
    RemovePin,
    RequestCode,
    RequestUnbanning,
    SetEmail,
    SetPin,
    Unbanning,
    VerifyEmail,
)
from gateway.providers.sandbox.account import PhoneAccount, account_of, change_account
from gateway.providers.sandbox.session import SandboxSession
from gateway.sessions.connection import ConnectionState

operations: Handlers[SandboxSession] = Handlers()

_WRONG = "000000"
_BANNED = "0000"
_WAIT_SECONDS = 125
_TOKEN_BYTES = 18
_SHOWN_OF_TOKEN = 3
_SIP_HOST = "sip.sandbox.invalid"


@operations.handles(CheckRegistration)
async def check(session: SandboxSession, operation: CheckRegistration) -> Availability:
    session.require_phone()
    if operation.phone.endswith(_BANNED):
        return Availability(available=False, blocked=True, appeal_token=_token(session))
    return Availability(
        available=True,
        sms_wait_seconds=0,
        voice_wait_seconds=0,
        wa_old_wait_seconds=0,
        wa_old_eligible=True,
    )


@operations.handles(RequestCode)
async def request_code(session: SandboxSession, operation: RequestCode) -> CodeRequested:
    if operation.phone.endswith(_BANNED):
        return CodeRequested(success=False, blocked=True)

    def alter(account: PhoneAccount) -> None:
        account.registering = operation.ddi + operation.phone

    await change_account(session, alter, linked=False)
    return CodeRequested(
        success=True,
        retry_after=_WAIT_SECONDS,
        sms_wait_seconds=_WAIT_SECONDS,
        voice_wait_seconds=_WAIT_SECONDS,
        wa_old_wait_seconds=_WAIT_SECONDS,
        method=operation.method,
    )


@operations.handles(AnswerCaptcha)
async def answer_captcha(session: SandboxSession, operation: AnswerCaptcha) -> Success:
    session.require_phone()
    return Success(success=operation.captcha != _WRONG)


@operations.handles(ConfirmCode)
async def confirm_code(session: SandboxSession, operation: ConfirmCode) -> CodeConfirmed:
    account = await account_of(session)
    if account.registering is None or operation.code == _WRONG:
        return CodeConfirmed(success=False)
    if account.pin:
        return CodeConfirmed(success=False, confirm_security_code=True)
    return CodeConfirmed(success=await _finish(session))


@operations.handles(ConfirmPin)
async def confirm_pin(session: SandboxSession, operation: ConfirmPin) -> Success:
    account = await account_of(session)
    if account.pin is not None and account.pin != operation.code:
        return Success(success=False)
    return Success(success=await _finish(session))


async def _finish(session: SandboxSession) -> bool:
    """Connects the phone if a registration was started."""

    def alter(account: PhoneAccount) -> bool:
        was_registering, account.registering = account.registering is not None, None
        return was_registering

    if not await change_account(session, alter, linked=False):
        return False
    await session.context.world.change_state(
        session.spec.instance_id, ConnectionState.CONNECTED, allowed=tuple(ConnectionState)
    )
    session.context.wake_within(0)
    return True


@operations.handles(RequestUnbanning)
async def request_unbanning(session: SandboxSession, _operation: RequestUnbanning) -> Unbanning:
    session.require_phone()
    return Unbanning(success=True, status="IN_REVIEW")


@operations.handles(RecoverPin)
async def recover_pin(session: SandboxSession, _operation: RecoverPin) -> Success:
    """Succeeds if the account has an e-mail address for the link."""
    return Success(success=(await account_of(session)).email is not None)


@operations.handles(ReadEmail)
async def read_email(session: SandboxSession, _operation: ReadEmail) -> EmailState:
    await session.own_phone()
    account = await account_of(session)
    if account.email is None:
        return EmailState(has_email=False)
    return EmailState(has_email=True, email=account.email, verified=account.email_verified)


@operations.handles(SetEmail)
async def set_email(session: SandboxSession, operation: SetEmail) -> EmailChanged:
    def alter(account: PhoneAccount) -> EmailChanged:
        account.email, account.email_verified = operation.email, False
        return EmailChanged(message="VERIFY_EMAIL")

    return await change_account(session, alter)


@operations.handles(VerifyEmail)
async def verify_email(session: SandboxSession, operation: VerifyEmail) -> Success:
    def alter(account: PhoneAccount) -> Success:
        account.email_verified = account.email is not None and operation.verification_code != _WRONG
        return Success(success=account.email_verified)

    return await change_account(session, alter)


@operations.handles(RemoveEmail)
async def remove_email(session: SandboxSession, _operation: RemoveEmail) -> EmailChanged:
    def alter(account: PhoneAccount) -> EmailChanged:
        account.email, account.email_verified = None, False
        return EmailChanged(message="REMOVED")

    return await change_account(session, alter)


@operations.handles(ReadPin)
async def read_pin(session: SandboxSession, _operation: ReadPin) -> PinState:
    await session.own_phone()
    return PinState(has_code=(await account_of(session)).pin is not None)


@operations.handles(SetPin)
async def set_pin(session: SandboxSession, operation: SetPin) -> Success:
    def alter(account: PhoneAccount) -> Success:
        account.pin = operation.code
        return Success()

    return await change_account(session, alter)


@operations.handles(RemovePin)
async def remove_pin(session: SandboxSession, _operation: RemovePin) -> PinRemoved:
    def alter(account: PhoneAccount) -> PinRemoved:
        account.pin = None
        return PinRemoved()

    return await change_account(session, alter)


@operations.handles(MakeCallToken)
async def make_call_token(session: SandboxSession, _operation: MakeCallToken) -> CallToken:
    await session.own_phone()
    return CallToken(token=f"ek-{_token(session)}")


@operations.handles(RenewSipToken)
async def renew_sip(session: SandboxSession, _operation: RenewSipToken) -> SipCredentials:
    token = _token(session)

    def alter(account: PhoneAccount) -> None:
        account.sip_token = token

    await change_account(session, alter)
    return _sip(session, token)


@operations.handles(ReadSip)
async def read_sip(session: SandboxSession, _operation: ReadSip) -> SipCredentials:
    await session.own_phone()
    token = (await account_of(session)).sip_token
    return _sip(session, f"{token[:_SHOWN_OF_TOKEN]}***" if token else None)


def _sip(session: SandboxSession, token: str | None) -> SipCredentials:
    return SipCredentials(
        host=_SIP_HOST, user=session.spec.instance_id, token=token, active=token is not None
    )


def _token(session: SandboxSession) -> str:
    return session.context.random_bytes(_TOKEN_BYTES).hex()
