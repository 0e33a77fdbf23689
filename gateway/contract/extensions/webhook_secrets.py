"""The secrets that sign an account's callbacks."""

from typing import Annotated, Any, ClassVar

from gateway.contract.documented import Example
from gateway.contract.operation import AuditedState, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.secret_fields import SECRET
from gateway.contract.wire import Wire
from gateway.contract.zapi.partner import PartnerOperation


class WebhookSecretState(Wire):
    """Whether callbacks are signed, and whether the secret before the present one signs, too."""

    is_set: bool
    previous_signs: bool


class ReadWebhookSecret(
    PartnerOperation[WebhookSecretState], method="GET", path="/account/webhook-secret"
):
    """Whether the account has a secret that signs its callbacks; never the secret. An extension."""

    scope = ApiScope.WEBHOOKS
    absolute = True
    example: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {"isSet": True, "previousSigns": False}


class NewWebhookSecret(Wire):
    """A new secret, in hex; it is shown only now."""

    secret: Annotated[str, SECRET]
    previous_signs: bool


class RotateWebhookSecret(
    PartnerOperation[NewWebhookSecret], method="POST", path="/account/webhook-secret"
):
    """Makes a new secret that signs callbacks; the answer shows it once. An extension.

    The present one goes on signing beside it until it is retired; one before that ends at once.
    Further webhooks with a secret of their own are not affected.
    """

    scope = ApiScope.MANAGE
    absolute = True
    audited_state = AuditedState.ACCOUNT
    example: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "secret": "c7b0f7a1d8e94c1f8e0d5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d",
        "previousSigns": True,
    }


class RetireWebhookSecret(
    PartnerOperation[Value], method="DELETE", path="/account/webhook-secret/previous"
):
    """Ends the secret before the present one, which signed beside it. An extension."""

    scope = ApiScope.MANAGE
    absolute = True
    audited_state = AuditedState.ACCOUNT
    example: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {"value": True}
