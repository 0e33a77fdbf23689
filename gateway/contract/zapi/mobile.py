"""Registering a number without a phone, and securing it: PIN and e-mail."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, StringConstraints

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example, Requirement
from gateway.contract.operation import Operation, Result, RouteAddress, Success
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Matching, OmitIfNone, Wire


def _digits(value: object) -> object:
    return "".join(c for c in str(value) if c.isdigit()) if isinstance(value, str | int) else value


CountryCode = Annotated[
    str,
    BeforeValidator(_digits),
    Matching(r"^[1-9]\d{0,3}$", "must be a country code such as 55"),
]
NationalNumber = Annotated[
    str,
    BeforeValidator(_digits),
    Matching(r"^\d{4,14}$", "must be a number without its country code, such as 11999999999"),
]
Code = Annotated[str, BeforeValidator(_digits), Matching(r"^\d{6}$", "must have 6 digits")]
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=254),
    Matching(
        r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$", "must be an e-mail address such as ana@example.com"
    ),
]
_NUMBER: Example = {"ddi": "55", "phone": "11999999999"}
_CODE: Example = {"code": "123456"}


class MobileOperation(Operation[Result]):
    """Steps of a registration; a failure is in the answer, not in its status."""

    requirement = Requirement.PRIMARY_PHONE
    failures = (503,)


class Availability(Wire):
    """Whether a number can be registered; a banned one has an `appealToken`."""

    available: bool
    blocked: bool | None = OmitIfNone
    appeal_token: str | None = OmitIfNone
    sms_wait_seconds: int | None = OmitIfNone
    voice_wait_seconds: int | None = OmitIfNone
    wa_old_wait_seconds: int | None = OmitIfNone
    wa_old_eligible: bool | None = OmitIfNone
    reason: str | None = OmitIfNone


class CheckRegistration(
    MobileOperation[Availability], method="POST", path="/mobile/registration-available"
):
    """Whether a number can be registered: the first step."""

    scope = ApiScope.MANAGE
    audited = False  # reads
    example: ClassVar[Example] = _NUMBER
    answer_example: ClassVar[Any] = {
        "available": True,
        "smsWaitSeconds": 0,
        "voiceWaitSeconds": 0,
        "waOldWaitSeconds": 0,
        "waOldEligible": True,
    }

    ddi: CountryCode
    phone: NationalNumber


class CodeRequested(Wire):
    """Whether a code was sent, and when another may be requested."""

    success: bool
    captcha: str | None = OmitIfNone
    blocked: bool | None = OmitIfNone
    retry_after: int | None = OmitIfNone
    sms_wait_seconds: int | None = OmitIfNone
    voice_wait_seconds: int | None = OmitIfNone
    wa_old_wait_seconds: int | None = OmitIfNone
    method: str | None = OmitIfNone


class RequestCode(
    MobileOperation[CodeRequested], method="POST", path="/mobile/request-registration-code"
):
    """Requests the code that confirms the number."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {**_NUMBER, "method": "sms"}
    answer_example: ClassVar[Any] = {
        "success": True,
        "retryAfter": 165,
        "smsWaitSeconds": 125,
        "voiceWaitSeconds": 125,
        "waOldWaitSeconds": 125,
        "method": "sms",
    }

    ddi: CountryCode
    phone: NationalNumber
    method: Annotated[Literal["sms", "voice", "wa_old"], ANY_CASE]


class AnswerCaptcha(MobileOperation[Success], method="POST", path="/mobile/respond-captcha"):
    """Answers the captcha; the code is then sent without another request."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"captcha": "123456"}

    captcha: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class CodeConfirmed(Wire):
    """Whether the number is connected, or its PIN is still required."""

    success: bool
    confirm_security_code: bool | None = OmitIfNone


class ConfirmCode(
    MobileOperation[CodeConfirmed], method="POST", path="/mobile/confirm-registration-code"
):
    """Confirms the code and connects the number."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = _CODE
    answer_example: ClassVar[Any] = {"success": True}

    code: Code


class Unbanning(Wire):
    """The state of a request."""

    success: bool
    status: Literal["IN_REVIEW", "UNBANNED"]


class RequestUnbanning(MobileOperation[Unbanning], method="POST", path="/mobile/request-unbanning"):
    """Requests that WhatsApp lifts a ban."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {
        "appealToken": "Ae1CIGl4",
        "description": "We only write to our customers.",
    }
    answer_example: ClassVar[Any] = {"success": True, "status": "IN_REVIEW"}

    appeal_token: Annotated[str, StringConstraints(min_length=1, max_length=2_048)]
    description: Annotated[str, StringConstraints(min_length=1, max_length=5_000)]


class ConfirmPin(
    MobileOperation[Success],
    method="POST",
    path="/mobile/confirm-pin-code",
    also=(RouteAddress("POST", "/mobile/confirm-security-code"),),
):
    """Confirms the PIN that a registration requires."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = _CODE

    code: Code


class RecoverPin(
    MobileOperation[Success],
    method="POST",
    path="/mobile/recovery-pin-code",
    also=(RouteAddress("POST", "/mobile/recovery-security-code"),),
):
    """Sends a link by e-mail that resets the PIN."""

    scope = ApiScope.MANAGE


class EmailState(Wire):
    """The e-mail of the account."""

    success: bool = True
    has_email: bool
    email: str | None = OmitIfNone
    verified: bool | None = OmitIfNone


class ReadEmail(MobileOperation[EmailState], method="GET", path="/security/email"):
    """The e-mail of the account."""

    scope = ApiScope.MANAGE
    answer_example: ClassVar[Any] = {
        "success": True,
        "hasEmail": True,
        "email": "ana@example.com",
        "verified": True,
    }


class EmailChanged(Wire):
    """The next step, or the failure."""

    success: bool = True
    message: str


class SetEmail(MobileOperation[EmailChanged], method="POST", path="/security/email"):
    """Sets the e-mail of the account; a code is sent there."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"email": "ana@example.com"}
    answer_example: ClassVar[Any] = {"success": True, "message": "VERIFY_EMAIL"}

    email: Email


class VerifyEmail(MobileOperation[Success], method="POST", path="/security/verify-email"):
    """Confirms the e-mail with the code sent there; false without an e-mail to confirm."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"verificationCode": "123456"}

    verification_code: Code


class RemoveEmail(MobileOperation[EmailChanged], method="POST", path="/security/email/remove"):
    """Removes the e-mail of the account."""

    scope = ApiScope.MANAGE
    answer_example: ClassVar[Any] = {"success": True, "message": "REMOVED"}


class PinState(Wire):
    """Whether a PIN is set."""

    success: bool = True
    has_code: bool


class ReadPin(MobileOperation[PinState], method="GET", path="/security/two-fa-code"):
    """Whether a PIN is set."""

    scope = ApiScope.MANAGE
    answer_example: ClassVar[Any] = {"success": True, "hasCode": True}


class SetPin(MobileOperation[Success], method="POST", path="/security/two-fa-code"):
    """Sets the PIN."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = _CODE

    code: Code


class PinRemoved(Wire):
    """Whether it was removed, and if not, why."""

    success: bool = True
    message: str | None = OmitIfNone


class RemovePin(MobileOperation[PinRemoved], method="POST", path="/security/two-fa-code/remove"):
    """Removes the PIN."""

    scope = ApiScope.MANAGE
