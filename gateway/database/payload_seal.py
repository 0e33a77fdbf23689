"""Encrypts content before it reaches Postgres, and decrypts what Postgres returns.

A sealed value names its key and binds its scope, which is the id of the instance: a value that was
copied to a row of another instance does not open. Where SQL reads a JSON object, the fields that it
needs stay readable beside the ciphertext.

column   plain                   sealed
jsonb    {"message": "Hi", ...}  {"sealed": "<key id>.<base64>", "delay_message": 5, ...}
text     Hi                      sealed:<key id>.<base64>
bytea    bytes                   NUL, "sealed:", key id, nonce, ciphertext
"""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.randomness import RandomBytes

SEALED: Final = "sealed"
FILES: Final = "sealedFiles"
"""The key of the ids of files, which the retention of media looks for in queued messages."""

_NONCE_BYTES = 12
_KEY_ID_LENGTH = 8
_MAX_DERIVED_KEYS = 20_000
_PURPOSE = b"gateway payload:"
_TEXT_MARK = f"{SEALED}:"
_BYTES_MARK = b"\0sealed:"
_TOKEN = re.compile(r"([0-9a-f]{8})\.([A-Za-z0-9+/]+=*)")

Json = Mapping[str, Any]


def key_id_of(secret: str) -> str:
    """Returns the id of the key that a secret makes; it shows nothing of the secret."""
    return hashlib.sha256(b"key id:" + secret.encode()).hexdigest()[:_KEY_ID_LENGTH]


class Unopened(dict[str, Any]):
    """Stands for a sealed object that no key opens; it is empty, and `reason` is a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class UnopenedText(str):  # noqa: SLOT000 - it has an attribute
    """Stands for a sealed text that no key opens: the reason, or a JSON object that holds it."""

    reason: str

    @classmethod
    def of(cls, reason: str, *, as_json: bool = False) -> "UnopenedText":
        text = cls(orjson.dumps({"error": reason}).decode() if as_json else reason)
        text.reason = reason
        return text


class SealBroken(Exception):
    """A sealed value does not open; the text is a sentence for callers and operators."""


class PayloadSeal:
    """Encrypts with the first secret, and decrypts with the secret that was used.

    Every scope has a key of its own, derived from the secret, so the random nonces of one key never
    come near the number at which two are likely to be equal.
    """

    def __init__(self, secrets: Sequence[str], random_bytes: RandomBytes) -> None:
        self._secrets = {
            key_id_of(secret): hashlib.sha256(_PURPOSE + secret.encode()).digest()
            for secret in secrets
        }
        self.current_key_id = key_id_of(secrets[0])
        self._random_bytes = random_bytes
        self._cipher = lru_cache(_MAX_DERIVED_KEYS)(self._new_cipher)

    @property
    def text_prefix(self) -> str:
        """What a text begins with that is sealed under the present key."""
        return f"{_TEXT_MARK}{self.current_key_id}."

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of the keys that this process has."""
        return frozenset(self._secrets)

    def seal_object(self, scope: str, plain: bytes, clear: Json) -> dict[str, Any]:
        """Returns the object that stands for the JSON text *plain*; *clear* stays readable."""
        return {SEALED: self._token(scope, plain), **clear}

    def open_object(self, scope: str, stored: Json) -> Json:
        """Returns the object with what SQL added beside the ciphertext, or an Unopened."""
        try:
            opened = orjson.loads(self._opened(scope, stored[SEALED]))
        except SealBroken as error:
            return Unopened(str(error))
        merged: Json = _merged(
            opened, {k: v for k, v in stored.items() if k not in (SEALED, FILES)}
        )
        return merged

    def open_body(self, scope: str, stored: Json) -> str:
        """Returns the JSON text of the object; one that says why, if no key opens it."""
        opened = self.open_object(scope, stored)
        if isinstance(opened, Unopened):
            return UnopenedText.of(opened.reason, as_json=True)
        return orjson.dumps(opened).decode()

    def seal_text(self, scope: str, plain: str) -> str:
        return _TEXT_MARK + self._token(scope, plain.encode())

    def open_text(self, scope: str, stored: str) -> str:
        """Returns the text, or an UnopenedText."""
        try:
            return self._opened(scope, stored.removeprefix(_TEXT_MARK)).decode()
        except SealBroken as error:
            return UnopenedText.of(str(error))

    def seal_bytes(self, scope: str, plain: bytes) -> bytes:
        return _BYTES_MARK + self.current_key_id.encode() + self._encrypted(scope, plain)

    def open_bytes(self, scope: str, stored: bytes) -> bytes | None:
        """Returns the bytes; None if no key opens them."""
        rest = stored.removeprefix(_BYTES_MARK)
        key_id = rest[:_KEY_ID_LENGTH].decode("ascii", "replace")
        try:
            return self._decrypted(scope, key_id, rest[_KEY_ID_LENGTH:])
        except SealBroken:
            return None

    def _token(self, scope: str, plain: bytes) -> str:
        return f"{self.current_key_id}.{b64encode(self._encrypted(scope, plain)).decode()}"

    def _opened(self, scope: str, token: str) -> bytes:
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise SealBroken("The encrypted content is damaged and cannot be read")
        return self._decrypted(scope, found[1], b64decode(found[2]))

    def _encrypted(self, scope: str, plain: bytes) -> bytes:
        nonce = self._random_bytes(_NONCE_BYTES)
        cipher = self._cipher(self.current_key_id, scope)
        return nonce + cipher.encrypt(nonce, plain, _PURPOSE + scope.encode())

    def _decrypted(self, scope: str, key_id: str, sealed: bytes) -> bytes:
        if key_id not in self._secrets:
            raise SealBroken(
                f"The content is encrypted under key {key_id}, which GATEWAY_SECRET_KEY does not "
                "hold: add the earlier secret to it, after a comma"
            )
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            cipher = self._cipher(key_id, scope)
            return cipher.decrypt(nonce, ciphertext, _PURPOSE + scope.encode())
        except (InvalidTag, ValueError):
            raise SealBroken(
                "The encrypted content is damaged or belongs to another instance"
            ) from None

    def _new_cipher(self, key_id: str, scope: str) -> AESGCM:
        return AESGCM(hmac.digest(self._secrets[key_id], scope.encode(), "sha256"))


def is_sealed_object(value: object) -> bool:
    return isinstance(value, Mapping) and _is_token(value.get(SEALED))


def is_sealed_text(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.startswith(_TEXT_MARK)
        and _is_token(value.removeprefix(_TEXT_MARK))
    )


def is_sealed_bytes(value: object) -> bool:
    return isinstance(value, bytes) and value.startswith(_BYTES_MARK)


def sealed_body(value: str) -> dict[str, Any] | None:
    """Returns the object of a sealed JSON text; None if the text is plain."""
    if f'"{SEALED}"' not in value:
        return None
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return body if is_sealed_object(body) else None


def key_id_in(value: object) -> str | None:
    """Returns the id of the key under which a stored value is sealed; None if it is plain."""
    match value:
        case bytes() if is_sealed_bytes(value):
            return value[len(_BYTES_MARK) :][:_KEY_ID_LENGTH].decode("ascii", "replace")
        case str() if is_sealed_text(value):
            return value[len(_TEXT_MARK) :][:_KEY_ID_LENGTH]
        case str() if (body := sealed_body(value)) is not None:
            return str(body[SEALED])[:_KEY_ID_LENGTH]
        case Mapping() if is_sealed_object(value):
            return str(value[SEALED])[:_KEY_ID_LENGTH]
        case _:
            return None


def each_text(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON
    """Returns the JSON value with each text in it changed; keys stay."""
    match value:
        case str():
            return change(value)
        case Mapping():
            return {key: each_text(item, change) for key, item in value.items()}
        case list() | tuple():
            return [each_text(item, change) for item in value]
        case _:
            return value


def _is_token(value: object) -> bool:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _merged(opened: Any, beside: Json) -> Any:  # noqa: ANN401 - any JSON
    """Puts the readable fields into the opened object: SQL may have changed or added some."""
    if not isinstance(opened, dict):
        return opened
    for name, value in beside.items():
        both = isinstance(value, dict) and isinstance(opened.get(name), dict)
        opened[name] = _merged(opened[name], value) if both else value
    return opened
