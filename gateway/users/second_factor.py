"""The second factor: codes by time (TOTP), whose secret is stored encrypted."""

import base64
from typing import Final

import pyotp
from pyotp.exceptions import OTPVerificationError

from gateway.clock import Clock
from gateway.instances.tokens import Sealed, TokenVault
from gateway.randomness import RandomBytes

_SECRET_BYTES = 20  # 160 bits, as RFC 4226 recommends
_STEPS_BESIDE = 1  # a phone's clock may differ by half a minute
_ISSUER: Final = "WhatsApp gateway"
_CODE_LENGTH = 6


def new_secret(random_bytes: RandomBytes) -> str:
    """Returns a secret in base32, as apps read it."""
    return base64.b32encode(random_bytes(_SECRET_BYTES)).decode()


def provisioning_url(secret: str, email: str) -> str:
    """Returns the otpauth URL that an app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)


class SecondFactor:
    """Checks codes."""

    def __init__(self, vault: TokenVault, clock: Clock) -> None:
        self._vault, self._clock = vault, clock

    def step_of(self, code: str, sealed: Sealed) -> int | None:
        """Returns the time step of a right code, None for a wrong one.

        The caller must take no step twice: a code that others saw would be good again.

        Raises:
            InvalidSettings: no secret of the gateway decrypts the second factor.
        """
        digits = "".join(code.split())
        totp = pyotp.TOTP(self._vault.open(sealed))
        if len(digits) != _CODE_LENGTH or not (digits.isascii() and digits.isdigit()):
            return None
        try:
            return totp.verify_and_get_timecode(
                digits, for_time=self._clock.now(), valid_window=_STEPS_BESIDE
            )
        except OTPVerificationError:
            return None
