"""Which certificates are trusted: those of the system, or of SSL_CERT_FILE and SSL_CERT_DIR."""

import os
import ssl
from functools import lru_cache
from typing import Final

_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # OpenSSL reads them itself


def trusted() -> ssl.SSLContext:
    """Returns the context of every connection: file servers, receivers, proxies, WhatsApp."""
    return _context(*map(os.environ.get, _VARIABLES))


@lru_cache(maxsize=8)
def _context(*_places: str | None) -> ssl.SSLContext:
    return ssl.create_default_context()
