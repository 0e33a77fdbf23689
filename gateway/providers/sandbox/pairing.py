"""QR codes and pairing codes; derived, so that all nodes show the same."""

import base64
import hashlib
import hmac
from datetime import datetime

_QR_SECONDS = 20
_CODE_SECONDS = 180
_CODE_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"  # WhatsApp's own: none looks like 1 or 0
_CODE_HALF = 4


def phone_number(instance_id: str) -> str:
    """Returns a mobile number of Sao Paulo, always the same for an instance."""
    digest = hashlib.sha256(instance_id.encode()).digest()
    return f"55119{int.from_bytes(digest[:8]) % 10**8:08d}"


def qr_text(secret: str, now: datetime) -> str:
    """Returns the text of the QR code: a reference that rotates, then three constant keys."""
    reference = _derived(secret, f"reference {int(now.timestamp()) // _QR_SECONDS}")
    keys = [_derived(secret, name) for name in ("noise", "identity", "advertised")]
    return ",".join([f"2@{_text(reference)}", *map(_text, keys)])


def pairing_code(secret: str, phone: str, now: datetime) -> str:
    """Returns eight characters to type on *phone*."""
    step = int(now.timestamp()) // _CODE_SECONDS
    digest = _derived(secret, f"code {phone} {step}")
    code = "".join(_CODE_ALPHABET[byte % len(_CODE_ALPHABET)] for byte in digest[: 2 * _CODE_HALF])
    return f"{code[:_CODE_HALF]}-{code[_CODE_HALF:]}"


def _derived(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
