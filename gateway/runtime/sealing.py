"""Builds the encryption of content, with the secrets and the operator's rule."""

import os
from collections.abc import Sequence

from gateway.database.notifications import Notifications
from gateway.database.payload_seal import PayloadSeal
from gateway.database.sealing import EncryptionRules, Sealing
from gateway.randomness import RandomBuffer
from gateway.settings.node_sections import StorageSection


def sealing_of(storage: StorageSection, secrets: Sequence[str]) -> Sealing:
    """Returns what the pool encrypts and decrypts content with."""
    return Sealing(
        PayloadSeal(secrets, RandomBuffer(os.urandom)),
        EncryptionRules(default=storage.payload_encryption),
    )


def follow_rules(rules: EncryptionRules, notifications: Notifications) -> None:
    """Drops what is cached about an instance or an account when it changes."""
    notifications.subscribe("instance_changed", rules.drop, on_reconnect=rules.drop_all)
    notifications.subscribe("account_changed", rules.drop_all)
