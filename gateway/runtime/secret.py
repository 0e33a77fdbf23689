"""The secret that encrypts tokens: given by the operator, or made once for development."""

import os
from pathlib import Path

from gateway.randomness import RandomBytes
from gateway.settings import Settings

_SECRET_BYTES = 32
_PRIVATE = 0o600


def write_private(file: Path, text: str) -> None:
    """Writes a file that only its owner can read; whole, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(file)


def secrets_of(settings: Settings, random_bytes: RandomBytes) -> tuple[str, ...]:
    """The current secret first, then those that still decrypt."""
    if given := settings.secrets():
        return given
    file = _file(settings)
    if not file.exists():
        write_private(file, random_bytes(_SECRET_BYTES).hex() + "\n")
    return (file.read_text(encoding="utf-8").strip(),)


def has_secret(settings: Settings) -> bool:
    """Whether the secret is given, or was made before."""
    return bool(settings.secrets()) or _file(settings).exists()


def _file(settings: Settings) -> Path:
    return settings.data_dir / "secret.key"
