"""A callback of a claimed delivery queue, and the request that posts it."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from gateway.contract.callbacks.filters import filter_names
from gateway.database.payload_seal import UnopenedText
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
    filters: tuple[str, ...] = ()
    token_ciphertext: bytes
    token_key_id: str

    @property
    def queue(self) -> QueueKey:
        return QueueKey(self.webhook_id, self.instance_id, self.chat)

    @property
    def is_wanted(self) -> bool:
        """Whether it has a webhook that gets it; filters hold for Z-API's webhooks alone."""
        if self.url is None:  # the webhook was removed after the callback was written
            return False
        if self.webhook_id != OWN_WEBHOOKS or not self.filters:
            return True
        body = None if isinstance(self.body, UnopenedText) else self.body
        return not filter_names(self.type, body) & {*self.filters}

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
