"""How many bytes of files an account may have stored when it sends another file."""

from collections import OrderedDict
from dataclasses import dataclass, replace

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import StorageLimitReached

_STORED_BYTES = query("media", "stored_bytes")

_FRESH_SECONDS = 60.0
_MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """The bytes that an account has stored, and those that it may have in any case."""

    used: int
    allowed: int


@dataclass(frozen=True, slots=True)
class _Remembered:
    stored: StoredBytes
    read_at: float


class StorageAllowance:
    """Refuses files of accounts that have stored too much.

    What is stored is read once a minute for each account that sends files, and what this node
    stores meanwhile is added: an account may exceed its limit by what other nodes store within
    that minute.

    Args:
        database: has the sizes of all files.
        clock: time.
        max_bytes: for each account; 0 sets no limit.
    """

    def __init__(self, database: Database, clock: Clock, *, max_bytes: int) -> None:
        self._database, self._clock, self._max_bytes = database, clock, max_bytes
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()

    def limit(self, stored: StoredBytes) -> int:
        """Returns the limit that applies to an account; 0 means none."""
        return max(self._max_bytes, stored.allowed) if self._max_bytes else 0

    async def check(self, account_id: str) -> None:
        """Raises StorageLimitReached if the account may store no further file.

        Raises:
            StorageLimitReached: it has stored as much as it may.
            DatabaseUnavailable: what it has stored cannot be read.
        """
        if not self._max_bytes:
            return
        stored = await self._stored(account_id)
        if stored.used >= (limit := self.limit(stored)):
            raise StorageLimitReached(used_bytes=stored.used, limit_bytes=limit)

    def add(self, account_id: str, size_bytes: int) -> None:
        """Counts bytes that this node has stored."""
        if known := self._remembered.get(account_id):
            stored = replace(known.stored, used=known.stored.used + size_bytes)
            self._remembered[account_id] = replace(known, stored=stored)

    async def read(self, account_id: str) -> StoredBytes:
        """Returns what the account has stored now."""
        row = await self._database.fetch_one(StoredBytes, _STORED_BYTES, account_id=account_id)
        assert row is not None
        return row

    async def _stored(self, account_id: str) -> StoredBytes:
        now = self._clock.monotonic_seconds()
        known = self._remembered.get(account_id)
        if known and now - known.read_at < _FRESH_SECONDS:
            return known.stored
        stored = await self.read(account_id)
        self._remembered[account_id] = _Remembered(stored, now)
        self._remembered.move_to_end(account_id)
        if len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return stored
