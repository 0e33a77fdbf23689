"""Ids and tokens: made at random, compared in constant time, stored as hashes.

Callbacks and the partner list show instance tokens again, so these are stored encrypted too: with
AES-GCM, and the id of the key, so that keys can be rotated.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.database.payload_seal import key_id_of
from gateway.errors import InvalidSettings
from gateway.randomness import RandomBytes

_ID_BYTES = 16
_NONCE_BYTES = 12


def new_id(random_bytes: RandomBytes) -> str:
    """Returns 32 upper-case hex characters, like the ids and tokens of Z-API."""
    return random_bytes(_ID_BYTES).hex().upper()


def hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def matches(token: str, token_hash: bytes) -> bool:
    return hmac.compare_digest(hash_of(token), token_hash)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted text, and the id of the key that decrypts it."""

    key_id: str
    ciphertext: bytes


class TokenVault:
    """Encrypts with the first secret, and decrypts with the secret that was used."""

    def __init__(self, secrets: tuple[str, ...], random_bytes: RandomBytes) -> None:
        self._keys: Mapping[str, AESGCM] = {
            key_id_of(secret): AESGCM(hashlib.sha256(secret.encode()).digest())
            for secret in secrets
        }
        self._current = key_id_of(secrets[0])
        self._random_bytes = random_bytes

    def seal(self, token: str) -> Sealed:
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = self._keys[self._current].encrypt(nonce, token.encode(), None)
        return Sealed(self._current, nonce + sealed)

    def open(self, sealed: Sealed) -> str:
        """Decrypts a token.

        Raises:
            InvalidSettings: none of the secrets decrypts it.
        """
        key = self._keys.get(sealed.key_id)
        if key is not None:
            nonce, rest = sealed.ciphertext[:_NONCE_BYTES], sealed.ciphertext[_NONCE_BYTES:]
            try:
                return key.decrypt(nonce, rest, None).decode()
            except (InvalidTag, ValueError):  # a key with the same id, or damaged bytes
                pass
        raise InvalidSettings(
            f"A token was encrypted under key {sealed.key_id}, which GATEWAY_SECRET_KEY does not "
            "hold: add the earlier secret to it, after a comma."
        )
