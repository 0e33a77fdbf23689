"""Mobile registration: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.zapi.mobile import (
    AnswerCaptcha,
    ConfirmCode,
    ConfirmPin,
    RecoverPin,
    RemoveEmail,
    RemovePin,
    RequestCode,
    VerifyEmail,
)
from gateway.documents.postman_setup import PostmanSetup, Precondition

_AVAILABLE = Precondition("/mobile/registration-available")
_REQUESTED = Precondition("/mobile/request-registration-code")

SETUPS: Mapping[type, PostmanSetup] = {
    RequestCode: PostmanSetup(order=1, first=(_AVAILABLE,)),
    AnswerCaptcha: PostmanSetup(order=2),
    ConfirmCode: PostmanSetup(order=3, first=(_REQUESTED,)),
    ConfirmPin: PostmanSetup(order=4),
    RecoverPin: PostmanSetup(order=4),
    VerifyEmail: PostmanSetup(order=1),
    RemoveEmail: PostmanSetup(order=5),
    RemovePin: PostmanSetup(order=5),
}
