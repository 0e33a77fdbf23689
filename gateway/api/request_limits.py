"""Limits the rate of requests per account and per instance, on this node.

The limits are token buckets: each request takes a token, and tokens return at a steady rate.
"""

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager

from gateway.clock import Clock
from gateway.errors import TooManyRequests
from gateway.token_buckets import Buckets, Rate

_UPLOAD_RETRY_SECONDS = 5


class UploadSlots:
    """Limits how many bodies of one account may arrive at once.

    A body that is complete when it is read takes no time, so this counts slow and large ones: one
    account cannot take every connection with bodies that do not end.
    """

    def __init__(self, max_uploads: int) -> None:
        self._max_uploads = max_uploads
        self._uploads: Counter[str] = Counter()

    def slot(self, account_id: str) -> AbstractContextManager[None]:
        """Counts an upload while the block lasts.

        Raises, when the block begins:
            TooManyRequests: the account has as many already.
        """
        return _Slot(self, account_id)

    def begin(self, account_id: str) -> None:
        """Counts an upload until `end`; raises TooManyRequests as `slot` does."""
        if self._uploads[account_id] >= self._max_uploads:
            raise TooManyRequests(
                "account", retry_after_seconds=_UPLOAD_RETRY_SECONDS, things="unfinished bodies"
            )
        self._uploads[account_id] += 1

    def end(self, account_id: str) -> None:
        self._uploads[account_id] -= 1
        if not self._uploads[account_id]:
            del self._uploads[account_id]


class _Slot:
    # A class instead of a generator, because each request with a body has one.
    __slots__ = ("_account_id", "_slots")

    def __init__(self, slots: UploadSlots, account_id: str) -> None:
        self._slots, self._account_id = slots, account_id

    def __enter__(self) -> None:
        self._slots.begin(self._account_id)

    def __exit__(self, *_error: object) -> None:
        self._slots.end(self._account_id)


class RequestLimits:
    """Takes a token of the account and one of the instance for each request, or neither."""

    def __init__(self, clock: Clock, *, account: Rate, instance: Rate) -> None:
        self._clock = clock
        self._accounts, self._instances = Buckets(account), Buckets(instance)

    def count(self, *, account_id: str, instance_id: str | None = None) -> None:
        """Counts one request.

        Raises:
            TooManyRequests: the account or the instance is over its rate.
        """
        limits: Sequence[tuple[Buckets, str, str]] = [(self._accounts, account_id, "account")]
        if instance_id is not None:
            limits = [*limits, (self._instances, instance_id, "instance")]
        self._take(limits)

    def count_instance(self, instance_id: str) -> None:
        """Counts a request whose account is counted already.

        Raises:
            TooManyRequests: the instance is over its rate.
        """
        self._take([(self._instances, instance_id, "instance")])

    def _take(self, limits: Sequence[tuple[Buckets, str, str]]) -> None:
        now = self._clock.monotonic_seconds()
        for buckets, name, owner in limits:
            if wait := buckets.seconds_until_token(name, now):
                raise TooManyRequests(owner, retry_after_seconds=math.ceil(wait))
        for buckets, name, _owner in limits:
            buckets.take(name)
