"""The provider settings of a connection, which are stored encrypted as a whole.

The release before reads `instances.provider_settings`, so those of the first connection are stored
there, too. There only secret fields are encrypted. A provider's model says which those are: the
fields of type `SecretStr` or `SecretBytes`. In the row, such a field holds
`{"sealed": {"keyId": ..., "ciphertext": ...}}` in place of its value.
"""

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from typing import Any, get_args

import orjson
from pydantic import BaseModel, SecretBytes, SecretStr

from gateway.instances.store import Instance
from gateway.instances.tokens import Sealed, TokenVault

_SEALED = "sealed"


def secret_fields(model: type[BaseModel]) -> frozenset[str]:
    """Returns the names and aliases of the model's secret fields; it does not look into fields."""
    found = {
        name: field.alias
        for name, field in model.model_fields.items()
        if _is_secret(field.annotation)
    }
    return frozenset(found) | frozenset(filter(None, found.values()))


def seal_settings(
    settings: Mapping[str, Any], secret: Collection[str], vault: TokenVault
) -> dict[str, Any]:
    """Returns the settings as they are stored: the fields named in *secret* are encrypted."""
    return {
        name: _seal(value, vault) if name in secret else value for name, value in settings.items()
    }


def open_settings(
    stored: Mapping[str, Any], secret: Collection[str], vault: TokenVault
) -> dict[str, Any]:
    """Returns the settings with the fields named in *secret* decrypted.

    A row of an earlier release has plain values, which are returned as they are.

    Raises:
        InvalidSettings: none of the secret keys decrypts a field.
    """
    return {
        name: _open(value, vault) if name in secret else value for name, value in stored.items()
    }


def seal_whole(settings: Mapping[str, Any], vault: TokenVault) -> Sealed:
    """Encrypts the settings of a connection."""
    return vault.seal(orjson.dumps(settings).decode())


def settings_of(
    instance: Instance, secret: Collection[str], vault: TokenVault
) -> Mapping[str, Any]:
    """Returns the settings of the active connection, decrypted.

    Raises:
        InvalidSettings: none of the secret keys decrypts them.
    """
    if sealed := instance.sealed_settings:
        opened: Mapping[str, Any] = orjson.loads(vault.open(sealed))
        return opened
    return open_settings(instance.provider_settings, secret, vault)


def _is_secret(annotation: object) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes):
        return True
    return any(map(_is_secret, get_args(annotation)))


def _seal(value: Any, vault: TokenVault) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    sealed = vault.seal(orjson.dumps(value).decode())
    ciphertext = b64encode(sealed.ciphertext).decode()
    return {_SEALED: {"keyId": sealed.key_id, "ciphertext": ciphertext}}


def _open(value: Any, vault: TokenVault) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case {"sealed": {"keyId": str(key_id), "ciphertext": str(ciphertext)}}:
            return orjson.loads(vault.open(Sealed(key_id, b64decode(ciphertext))))
        case _:
            return value
