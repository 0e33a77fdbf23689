"""Calls: ringing a number, and what telephone software needs to call through an instance."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, StringConstraints

from gateway.contract.documented import Example, Requirement
from gateway.contract.echo import Content, EchoContext
from gateway.contract.limits import Limit
from gateway.contract.operation import Operation
from gateway.contract.paging import between
from gateway.contract.scopes import ApiScope
from gateway.contract.send import OutgoingMessage
from gateway.contract.urls import WRITTEN_URL
from gateway.contract.wire import OmitIfNone, Wire

_MAX_CALL_SECONDS = 15
_NEEDS_CALLS = (400, 503)


class SendCall(OutgoingMessage, path="/send-call"):
    """Rings a number for a few seconds; the queue waits meanwhile.

    With `notifySentByMe` it comes back as the notification `CALL_VOICE` with `fromMe`.
    """

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "callDuration": 5,
        "callAudioUrl": "https://example.com/hello.mp3",
    }
    example_minimal: ClassVar[Example] = {"phone": "5511999999999"}

    call_duration: Annotated[int, BeforeValidator(between(1, _MAX_CALL_SECONDS))] = 5
    call_audio_url: Annotated[str, StringConstraints(max_length=2_048), WRITTEN_URL] | None = None
    limits: ClassVar[tuple[Limit, ...]] = ()

    def echo(self, context: EchoContext) -> Content | None:
        return {
            "notification": "CALL_VOICE",
            "notificationParameters": [],
            "callId": context.message_id,
        }


class CallToken(Wire):
    """Opens one connection of the calls SDK."""

    token: str


class MakeCallToken(Operation[CallToken], method="GET", path="/call-token"):
    """Makes a token for one connection of the calls SDK."""

    scope = ApiScope.MANAGE
    requirement = Requirement.ZAPI_TELEPHONY
    answer_example: ClassVar[Any] = {"token": "ek-gKrx0dpG27s1YyoU3i3A"}
    failures = _NEEDS_CALLS


class SipCredentials(Wire):
    """How telephone software logs in; the token is masked, or missing, where they are only read."""

    host: str
    user: str
    token: str | None = OmitIfNone
    active: bool


_SIP = {"host": "sip.example.com", "user": "3C67AB641C8AA0412F6A2242B4E23AC7", "active": True}


class RenewSipToken(Operation[SipCredentials], method="POST", path="/sip-token"):
    """Creates credentials; earlier ones stop working."""

    scope = ApiScope.MANAGE
    requirement = Requirement.ZAPI_TELEPHONY
    answer_example: ClassVar[Any] = {**_SIP, "token": "BZ9vKoEsmmrCP6y4t0XYCYBW"}
    failures = _NEEDS_CALLS


class ReadSip(Operation[SipCredentials], method="GET", path="/sip-info"):
    """The credentials, their token masked."""

    scope = ApiScope.MANAGE
    requirement = Requirement.ZAPI_TELEPHONY
    answer_example: ClassVar[Any] = {**_SIP, "token": "BZ9***"}
    failures = _NEEDS_CALLS
