"""Encrypts additions to a message, which only people who have the message can read.

The key derives from the secret in the message. The library encrypts votes only.
"""

import base64
import os
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12

Purpose = Literal["Event Response", "Event Edit"]


@dataclass(frozen=True, slots=True)
class Original:
    """The message that gets an addition; `sender` is its JID without a device."""

    id: str
    sender: str
    secret: bytes


def sealed(content: bytes, purpose: Purpose, original: Original, *, by: str) -> dict[str, str]:
    """Returns the encrypted part of the addition, in the JSON form of protobuf."""
    nonce = os.urandom(_NONCE_BYTES)
    authenticated = f"{original.id}\0{by}".encode() if purpose == "Event Response" else None
    cipher = AESGCM(_key(purpose, original, by)).encrypt(nonce, content, authenticated)
    return {"encPayload": _base64(cipher), "encIV": _base64(nonce)}


def _key(purpose: Purpose, original: Original, by: str) -> bytes:
    info = f"{original.id}{original.sender}{by}{purpose}".encode()
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=info).derive(original.secret)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
