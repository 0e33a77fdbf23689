"""A callback of a claimed delivery queue, and the request that posts it."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from gateway.instances.tokens import Sealed, TokenVault
from gateway.webhooks.posting import WebhookRequest
from gateway.webhooks.secrets import SealedWebhook

OWN_WEBHOOKS: Final = uuid.UUID(int=0)
"""Stands for the webhooks that Z-API has: one for each type of callback."""


class QueueKey(NamedTuple):
    """Identifies a delivery queue: each webhook has one for each chat."""

    webhook_id: uuid.UUID
    instance_id: str
    chat: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedCallback(SealedWebhook):
    """One callback of a claimed delivery queue."""

    webhook_id: uuid.UUID
    instance_id: str
    chat: str
    attempts_before: int
    failing_seconds: float | None
    position: int
    id: uuid.UUID
    type: str
    body: str
    created_at: datetime
    account_id: str
    url: str | None
    token_ciphertext: bytes
    token_key_id: str

    @property
    def queue(self) -> QueueKey:
        return QueueKey(self.webhook_id, self.instance_id, self.chat)

    @property
    def receiver(self) -> str:
        """The account and the server of the URL, by which a circuit breaker is found.

        Further webhooks have breakers of their own.
        """
        server = urlsplit(self.url or "").netloc
        if self.webhook_id == OWN_WEBHOOKS:
            return f"{self.account_id} {server}"
        return f"{self.account_id} {self.webhook_id} {server}"

    def request(self, url: str, vault: TokenVault) -> WebhookRequest:
        """Returns the request. Only Z-API's webhooks get the token of the instance."""
        if self.webhook_id == OWN_WEBHOOKS:
            token = vault.open(Sealed(self.token_key_id, self.token_ciphertext))
            return WebhookRequest(
                self.id, url, self.body, token, self.open(vault), owner=self.account_id
            )
        return WebhookRequest(
            self.id,
            url,
            self.body,
            None,
            self.open_signing(vault),
            self.open_headers(vault),
            owner=self.account_id,
        )
