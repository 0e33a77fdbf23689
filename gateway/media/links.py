"""Signed links to stored files, which open without a token until they expire."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote, urlencode

from gateway.bounds import whole_number
from gateway.clock import Clock
from gateway.errors import Forbidden

_PURPOSE = b"links to media"


class LinkSigner:
    """Signs links with the first secret, and accepts the signatures of all secrets."""

    def __init__(self, secrets: Sequence[str], clock: Clock, *, days: int) -> None:
        self._clock, self._days = clock, days
        self._keys = [hmac.digest(secret.encode(), _PURPOSE, "sha256") for secret in secrets]

    def link_to(self, instance_id: str, file_id: str, file_name: str, *, base_url: str) -> str:
        """Returns the link to a file, which downloads under *file_name*."""
        expires = int((self._clock.now() + timedelta(days=self._days)).timestamp())
        query = urlencode(
            {
                "expires": expires,
                "signature": _sign(self._keys[0], instance_id, file_id, file_name, expires),
            }
        )
        path = "/".join(quote(part, safe="") for part in (instance_id, file_id, file_name))
        return f"{base_url.rstrip('/')}/media/{path}?{query}"

    def check(
        self, instance_id: str, file_id: str, file_name: str, *, expires: str, signature: str
    ) -> None:
        """Raises Forbidden if the signature is wrong or the link has expired."""
        until = whole_number(expires)
        if until is None or not any(
            hmac.compare_digest(
                _sign(key, instance_id, file_id, file_name, until).encode(), signature.encode()
            )
            for key in self._keys
        ):
            raise Forbidden("This link is not valid")
        if until < self._clock.now().timestamp():
            raise Forbidden("This link has expired")


def _sign(key: bytes, instance_id: str, file_id: str, file_name: str, expires: int) -> str:
    signed = "\n".join((instance_id, file_id, file_name, str(expires)))
    return hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()
