"""Delays after failed sign-ins, which only who failed has to wait for.

A delay belongs to a login and an address: guesses from one address delay no other one. The budget
of a node bounds all guesses together. Logins that signed in from their address before have a
budget of their own, which guesses cannot use up.
"""

import hashlib
import ipaddress
import math
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import TooManyRequests
from gateway.token_buckets import Buckets, Rate

_FIND_SIGN_IN_PAIR = query("users", "find_sign_in_pair")
_BEGIN_SIGN_IN = query("users", "begin_sign_in")
_NOTE_SIGN_IN = query("users", "note_sign_in")

FREE_FAILURES: Final = 3
MAX_DELAY_SECONDS: Final = 900.0
_KNOWN_DAYS = 90
_UNKNOWN = Rate(0.5, 30)
_KNOWN = Rate(1.0, 30)
_ADDRESS = Rate(0.1, 10)
_SIX_PREFIX = 64  # one customer of a provider has as many addresses
_ALL = "all"


@dataclass(frozen=True, slots=True)
class _Pair:
    is_known: bool
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class _Begun:
    failures: int


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """A login and an address, as they are stored."""

    login_hash: bytes
    address: str


class SignInDelays:
    """Admits attempts to sign in, or says how long to wait."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._unknown, self._known, self._addresses = map(Buckets, (_UNKNOWN, _KNOWN, _ADDRESS))

    async def begin(self, login: str, address: str | None) -> SignInAttempt:
        """Counts an attempt as failed until `succeed`; the same for a login without a user.

        Raises:
            TooManyRequests: the login must wait at this address, or the budget is used up.
        """
        attempt = SignInAttempt(_hash_of(login), network_of(address))
        pair = await self._database.fetch_one(
            _Pair,
            _FIND_SIGN_IN_PAIR,
            login_hash=attempt.login_hash,
            address=attempt.address,
            known_days=_KNOWN_DAYS,
        )
        if pair and pair.wait_seconds:
            raise _wait(pair.wait_seconds)
        self._take_of_budget(attempt, is_known=pair is not None and pair.is_known)
        begun = await self._database.fetch_one(
            _Begun,
            _BEGIN_SIGN_IN,
            login_hash=attempt.login_hash,
            address=attempt.address,
            known_days=_KNOWN_DAYS,
            free=FREE_FAILURES,
            max_seconds=MAX_DELAY_SECONDS,
        )
        if begun is None:  # another attempt of the pair began meanwhile
            raise _wait(1.0)
        return attempt

    async def succeed(self, attempt: SignInAttempt) -> None:
        """Takes the failures of the pair back, and remembers that it signed in."""
        await self._database.execute(
            _NOTE_SIGN_IN, login_hash=attempt.login_hash, address=attempt.address
        )

    def _take_of_budget(self, attempt: SignInAttempt, *, is_known: bool) -> None:
        now = self._clock.monotonic_seconds()
        pair = f"{attempt.login_hash.hex()} {attempt.address}"
        taken = (
            ((self._known, pair),)
            if is_known
            else ((self._unknown, _ALL), (self._addresses, attempt.address))
        )
        for buckets, name in taken:
            if wait := buckets.seconds_until_token(name, now):
                raise _wait(wait)
        for buckets, name in taken:
            buckets.take(name)


def network_of(address: str | None) -> str:
    """Returns the address whose failures count together: of IPv6 the network of a customer."""
    if address is None:
        return ""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _SIX_PREFIX), strict=False))
    return str(parsed)


def _hash_of(login: str) -> bytes:
    return hashlib.sha256(login.strip().casefold().encode(errors="surrogatepass")).digest()


def _wait(seconds: float) -> TooManyRequests:
    return TooManyRequests(
        "address", retry_after_seconds=max(1, math.ceil(seconds)), things="sign-ins"
    )
