"""The secret that encrypts tokens: given by the operator, or made once for development."""

import os
from pathlib import Path

from gateway.randomness import RandomBytes
from gateway.runtime.data_dir import data_dir_errors_named
from gateway.settings import Settings

_SECRET_BYTES = 32
_PRIVATE = 0o600


def write_private(file: Path, text: str, *, replace: bool = True) -> None:
    """Writes a file that only its owner can read; whole, or not at all.

    Without *replace* the file of another process that was faster stays.
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


def secrets_of(settings: Settings, random_bytes: RandomBytes) -> tuple[str, ...]:
    """The current secret first, then those that still decrypt.

    Raises:
        StartRefused: the data directory cannot be used.
    """
    if given := settings.secrets():
        return given
    file = secret_file(settings)
    with data_dir_errors_named(settings.data_dir):
        if not file.exists():
            write_private(file, random_bytes(_SECRET_BYTES).hex() + "\n", replace=False)
        return (file.read_text(encoding="utf-8").strip(),)


def has_secret(settings: Settings) -> bool:
    """Whether the secret is given, or was made before."""
    with data_dir_errors_named(settings.data_dir):
        return bool(settings.secrets()) or secret_file(settings).exists()


def secret_file(settings: Settings) -> Path:
    return settings.data_dir / "secret.key"
