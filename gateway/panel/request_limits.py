"""Limits the rate of requests to pages, for each address and each user, on this node."""

import math
from typing import Final

from gateway.clock import Clock
from gateway.errors import TooManyRequests
from gateway.token_buckets import Buckets, Rate
from gateway.users.sign_in_delays import network_of

_SECONDS_AT_ONCE: Final = 10
_USERS_PER_ADDRESS: Final = 5  # people of a shop share an address


class PanelLimits:
    """Takes a token of the address of each request, and one of its user.

    A user may make *per_second* requests per second on average and ten times as many at once, an
    address five times as many; 0 sets no limit. Static files do not count.
    """

    def __init__(self, clock: Clock, per_second: float) -> None:
        self._clock = clock
        self._users = Buckets(_rate(per_second))
        self._addresses = Buckets(_rate(per_second * _USERS_PER_ADDRESS))

    def count_address(self, address: str | None) -> None:
        """Counts a request before anything is read from the database.

        Raises:
            TooManyRequests: the address is over its rate; of IPv6 the network of a customer.
        """
        self._take(self._addresses, network_of(address), "address")

    def count_user(self, user_id: str) -> None:
        """Counts a request of a session; raises TooManyRequests."""
        self._take(self._users, user_id, "user")

    def _take(self, buckets: Buckets, name: str, owner: str) -> None:
        if wait := buckets.seconds_until_token(name, self._clock.monotonic_seconds()):
            raise TooManyRequests(owner, retry_after_seconds=math.ceil(wait))
        buckets.take(name)


def _rate(per_second: float) -> Rate:
    return Rate(per_second, max(1, math.ceil(per_second * _SECONDS_AT_ONCE)))
