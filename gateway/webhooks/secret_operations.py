"""Handlers of the secrets that sign an account's callbacks."""

from dataclasses import dataclass

from gateway.contract.extensions.webhook_secrets import (
    NewWebhookSecret,
    ReadWebhookSecret,
    RetireWebhookSecret,
    RotateWebhookSecret,
    WebhookSecretState,
)
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.instances.accounts import Account
from gateway.webhooks.secrets import WebhookSecrets


@dataclass(frozen=True, slots=True)
class WebhookSecretContext:
    """What the handlers need, for one request of one account."""

    secrets: WebhookSecrets
    account: Account


handlers = Handlers[WebhookSecretContext]()


@handlers.handles(ReadWebhookSecret)
async def read_webhook_secret(
    context: WebhookSecretContext, _operation: ReadWebhookSecret
) -> WebhookSecretState:
    stored = await context.secrets.find(context.account.id)
    return WebhookSecretState(is_set=stored.is_set, previous_signs=stored.previous_signs)


@handlers.handles(RotateWebhookSecret)
async def rotate_webhook_secret(
    context: WebhookSecretContext, _operation: RotateWebhookSecret
) -> NewWebhookSecret:
    secret = await context.secrets.rotate(context.account.id)
    stored = await context.secrets.find(context.account.id)
    return NewWebhookSecret(secret=secret, previous_signs=stored.previous_signs)


@handlers.handles(RetireWebhookSecret)
async def retire_webhook_secret(
    context: WebhookSecretContext, _operation: RetireWebhookSecret
) -> Value:
    await context.secrets.retire(context.account.id)
    return Value()
