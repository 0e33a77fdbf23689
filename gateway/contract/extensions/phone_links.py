"""The link with which a person without an account links the phone of an instance."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from gateway.contract.documented import Example
from gateway.contract.operation import Operation, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.secret_fields import SECRET
from gateway.contract.wire import OmitIfNone, Phone, Wire

_CREATED, _NOT_FOUND, _CONFLICT = 201, 404, 409
MAX_LINK_MINUTES: Final = 1_440
_DONE = {"value": True}
_PATH = "/link"


class CreatedPhoneLink(Wire):
    """A new link; `url` is shown only now."""

    url: Annotated[str, SECRET]
    expires_at: datetime
    max_codes: int


class CreatePhoneLink(
    Operation[CreatedPhoneLink], method="POST", path=_PATH, answer_status=_CREATED
):
    """Makes the address of a page on which a person links a phone; no account is needed.

    The holder of the address can link a phone: it is shown once, lives `expiresInMinutes` (30 by
    default), shows a limited number of codes, and ends when a phone is linked, by whatever way. A
    new link ends the one before. Refused with 409 while a phone is linked.

    With `phone`, any other number is logged out at once. Without it, messages that wait when the
    phone is linked are held until `POST /link/confirm`.
    """

    scope = ApiScope.MANAGE
    failures = (_CONFLICT,)
    example: ClassVar[Example] = {"expiresInMinutes": 15, "phone": "5511999999999"}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "url": "https://wa.example.com/panel/link-phone/"
        "c7b0f7a1d8e94c1f8e0d5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d",
        "expiresAt": "2026-01-31T12:15:00Z",
        "maxCodes": 90,
    }

    expires_in_minutes: Annotated[
        int | None,
        Field(ge=1, le=MAX_LINK_MINUTES, description="by default as the service is set: 30"),
    ] = None
    phone: Annotated[
        Phone | None, Field(description="the only number that may link; by default any")
    ] = None


class PhoneLinkState(Wire):
    """A link without its address.

    `status` is `waiting`, `linked`, `expired`, `revoked`, `used_up` (no code is left) or
    `wrong_phone`. With `awaitingConfirmation` the queue is held until `POST /link/confirm`.
    """

    status: str
    created_at: datetime
    expires_at: datetime
    codes_left: int
    linked_at: datetime | None = OmitIfNone
    revoked_at: datetime | None = OmitIfNone
    awaiting_confirmation: bool


class ReadPhoneLink(Operation[PhoneLinkState], method="GET", path=_PATH):
    """The latest link of the instance: whether a phone was linked, and what is left of it."""

    scope = ApiScope.READ
    failures = (_NOT_FOUND,)
    answer_example: ClassVar[Any] = {
        "status": "linked",
        "createdAt": "2026-01-31T12:00:00Z",
        "expiresAt": "2026-01-31T12:15:00Z",
        "codesLeft": 87,
        "linkedAt": "2026-01-31T12:01:02Z",
        "awaitingConfirmation": True,
    }


class RevokePhoneLink(Operation[Value], method="DELETE", path=_PATH):
    """Ends the link; a code that its page shows right now may still be scanned for a moment.

    A linking with such a code counts as one with the link: `phone` and the hold apply to it.
    """

    scope = ApiScope.MANAGE
    failures = (_NOT_FOUND,)
    answer_example: ClassVar[Any] = _DONE


class ConfirmLinking(Operation[Value], method="POST", path="/link/confirm"):
    """Confirms the phone that was linked with the link: the messages that waited are sent.

    Refused with 409 where no linking waits for it. `GET /disconnect` logs the phone out instead.
    """

    scope = ApiScope.MANAGE
    failures = (_CONFLICT,)
    answer_example: ClassVar[Any] = _DONE
