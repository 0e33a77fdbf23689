"""The secret that encrypts tokens: set by the operator, or created once in development."""

import os
from pathlib import Path

from gateway.randomness import RandomBytes
from gateway.runtime.data_dir import data_dir_errors_named
from gateway.settings.node_sections import StorageSection

_SECRET_BYTES = 32
_PRIVATE = 0o600


def write_private(file: Path, text: str, *, replace: bool = True) -> None:
    """Writes a file that only its owner can read; readers see all of it or none.

    Without *replace* an existing file stays: another process may have created it first.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    if replace:
        draft.replace(file)
    else:
        _put_in_place(draft, file)


def _put_in_place(draft: Path, file: Path) -> None:
    """Renames *draft*, unless *file* appeared meanwhile."""
    try:
        os.link(draft, file)
    except FileExistsError:
        draft.unlink()
    except OSError:  # a file system without hard links
        draft.replace(file)
    else:
        draft.unlink()


def secrets_of(storage: StorageSection, random_bytes: RandomBytes) -> tuple[str, ...]:
    """Returns the current secret first, then those that still decrypt.

    Raises:
        StartRefused: the data directory cannot be used.
    """
    if given := storage.secrets():
        return given
    file = secret_file(storage)
    with data_dir_errors_named(storage.data_dir):
        if not file.exists():
            write_private(file, random_bytes(_SECRET_BYTES).hex() + "\n", replace=False)
        return (file.read_text(encoding="utf-8").strip(),)


def existing_secrets_of(storage: StorageSection, random_bytes: RandomBytes) -> tuple[str, ...]:
    """Returns the secrets as `secrets_of`, but writes none: a lost one is replaced in memory only.

    For work that encrypts and decrypts nothing.
    """
    if has_secret(storage):
        return secrets_of(storage, random_bytes)
    return (random_bytes(_SECRET_BYTES).hex(),)


def has_secret(storage: StorageSection) -> bool:
    """Says whether the secret is set, or was created before."""
    with data_dir_errors_named(storage.data_dir):
        return bool(storage.secrets()) or secret_file(storage).exists()


def secret_file(storage: StorageSection) -> Path:
    return storage.data_dir / "secret.key"
