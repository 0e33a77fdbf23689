"""API keys of accounts: what each may do, and a cache that database notifications invalidate."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.clock import Clock
from gateway.contract.scopes import ApiScope, known_scopes
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.instances.api_key_uses import ApiKeyUses
from gateway.instances.tokens import hash_of
from gateway.randomness import RandomBytes

_FIND_API_KEY = query("api_keys", "find_api_key")

KEY_PREFIX: Final = "gwk_"
_KEY_BYTES = 32
_MAX_CACHED, _MAX_UNKNOWN = 50_000, 10_000
_CACHED_SECONDS = 30.0  # bounds how long a revoked key works if the notification is lost
_UNKNOWN_SECONDS = 10.0  # bounds the wait if the notification of a new key is lost


def new_api_key(random_bytes: RandomBytes) -> str:
    """Returns a key; no other token that the gateway makes has its beginning."""
    return KEY_PREFIX + random_bytes(_KEY_BYTES).hex()


def is_api_key(token: str) -> bool:
    """Returns whether a token has the form of an API key; it may still be wrong."""
    return token.startswith(KEY_PREFIX)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that is stored, with what its account says of callers.

    Empty `instance_ids` and `networks` set no limit; `expires_at` is the moment from which the key
    is unknown.
    """

    id: str
    account_id: str
    name: str
    token_hash: bytes
    scopes: frozenset[ApiScope]
    instance_ids: frozenset[str]
    networks: tuple[str, ...]
    expires_at: datetime | None
    account_name: str
    allowed_addresses: tuple[str, ...]
    client_token_required: bool
    account_created_at: datetime

    def may_use(self, instance_id: str) -> bool:
        return not self.instance_ids or instance_id in self.instance_ids


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    account_id: str
    name: str
    token_hash: bytes
    scopes: list[str]
    instance_ids: list[str]
    networks: list[str]
    expires_at: datetime | None
    account_name: str
    allowed_addresses: list[str]
    client_token_required: bool
    account_created_at: datetime

    def as_key(self) -> ApiKey:
        return ApiKey(
            self.id,
            self.account_id,
            self.name,
            self.token_hash,
            known_scopes(self.scopes),
            frozenset(self.instance_ids),
            tuple(self.networks),
            self.expires_at,
            self.account_name,
            tuple(self.allowed_addresses),
            self.client_token_required,
            self.account_created_at,
        )


@dataclass(frozen=True, slots=True)
class _Cached:
    key: ApiKey
    read_at_seconds: float


class ApiKeys:
    """Finds keys by their hash, in a cache if it can.

    A notification about an account removes its keys from the cache; a lost connection empties the
    cache. Unknown keys are cached for a moment too, so that guesses cost few queries.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._look_ups, self._clock = database.for_look_ups(), clock
        self.uses = ApiKeyUses(database, clock)
        self._known: OrderedDict[bytes, _Cached] = OrderedDict()
        self._unknown_until: OrderedDict[bytes, float] = OrderedDict()
        self._changes = 0

    def listen(self, notifications: Notifications) -> None:
        notifications.subscribe("account_changed", self._drop_account, on_reconnect=self._drop_all)

    async def find(self, token: str) -> ApiKey | None:
        """Returns the key, unless it is unknown, revoked or past its end.

        The look-up compares hashes, so the time it takes shows nothing of the key.
        """
        return await self.find_by_hash(hash_of(token)) if is_api_key(token) else None

    async def find_by_hash(self, token_hash: bytes) -> ApiKey | None:
        now_seconds = self._clock.monotonic_seconds()
        cached = self._known.get(token_hash)
        if cached and now_seconds - cached.read_at_seconds < _CACHED_SECONDS:
            found: ApiKey | None = cached.key
        else:
            found = await self._read(token_hash, now_seconds)
        if found is None or (found.expires_at and found.expires_at <= self._clock.now()):
            return None
        return found

    async def _read(self, token_hash: bytes, now_seconds: float) -> ApiKey | None:
        if self._unknown_until.get(token_hash, 0.0) > now_seconds:
            return None
        changes_before = self._changes
        row = await self._look_ups.fetch_one(_Row, _FIND_API_KEY, token_hash=token_hash)
        found = row.as_key() if row else None
        # A change during the read may be newer than the row: then nothing is cached.
        if changes_before == self._changes:
            self._cache(token_hash, found, now_seconds)
        return found

    def _cache(self, token_hash: bytes, found: ApiKey | None, now_seconds: float) -> None:
        self._known.pop(token_hash, None)
        if found:
            self._known[token_hash] = _Cached(found, now_seconds)
            if len(self._known) > _MAX_CACHED:
                self._known.popitem(last=False)
            return
        self._unknown_until[token_hash] = now_seconds + _UNKNOWN_SECONDS
        self._unknown_until.move_to_end(token_hash)
        if len(self._unknown_until) > _MAX_UNKNOWN:
            self._unknown_until.popitem(last=False)

    def _drop_account(self, account_id: str) -> None:
        self._changes += 1
        self._unknown_until.clear()
        for token_hash in [
            h for h, each in self._known.items() if each.key.account_id == account_id
        ]:
            del self._known[token_hash]

    def _drop_all(self) -> None:
        self._changes += 1
        self._known.clear()
        self._unknown_until.clear()
