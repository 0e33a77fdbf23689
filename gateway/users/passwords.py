"""Passwords: argon2id hashes, checked in threads, a few at a time."""

import asyncio
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.errors import InvalidRequest

MIN_PASSWORD_LENGTH: Final = 12
MAX_PASSWORD_BYTES: Final = 1_024
_MAX_AT_ONCE = 2  # each takes 64 MiB and a core for a fraction of a second


class Passwords:
    """Hashes and checks passwords without holding up the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Prepares it; *hasher* has other costs than those of RFC 9106 only in tests."""
        self._hasher = hasher or PasswordHasher()
        self._slots = asyncio.Semaphore(_MAX_AT_ONCE)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """Returns the hash of a new password.

        Raises:
            InvalidRequest: it is too short or too long.
        """
        if len(password) < MIN_PASSWORD_LENGTH:
            raise InvalidRequest(f"password: must have at least {MIN_PASSWORD_LENGTH} characters")
        secret = _bytes_of(password)
        if len(secret) > MAX_PASSWORD_BYTES:
            raise InvalidRequest(f"password: must have at most {MAX_PASSWORD_BYTES} bytes")
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, secret)

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Returns whether the password is right.

        Without a hash the same work is done, so that the time taken does not show who exists.
        """
        secret = _bytes_of(password)
        if len(secret) > MAX_PASSWORD_BYTES:
            secret, password_hash = b"", None
        async with self._slots:
            return await asyncio.to_thread(self._verify, secret, password_hash)

    def is_outdated(self, password_hash: str) -> bool:
        """Returns whether the hash was made with other costs than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, secret: bytes, password_hash: str | None) -> bool:
        if self._decoy is None:
            self._decoy = self._hasher.hash("a password that no user has")
        try:
            self._hasher.verify(password_hash or self._decoy, secret)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None


def _bytes_of(password: str) -> bytes:
    """Returns the bytes that are hashed: an accented character has several spellings."""
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")
