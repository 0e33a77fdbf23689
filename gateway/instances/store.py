"""The instance as every package reads it, and a cache that database notifications invalidate."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import NotFound
from gateway.instances.accounts import Account
from gateway.instances.named import id_of_named
from gateway.instances.tokens import Sealed

_FIND_INSTANCE = query("instances", "find_instance")
_MAX_CACHED = 50_000
_MAX_UNKNOWN, _MAX_UNKNOWN_LENGTH = 10_000, 64
_UNKNOWN_SECONDS = 10.0  # bounds the wait if the notification of a new instance is lost


@dataclass(frozen=True, slots=True)
class Instance:
    """A row of `instances`, with the rules of its account for callers."""

    id: str
    account_id: str
    name: str
    token_hash: bytes
    token_ciphertext: bytes
    token_key_id: str
    provider: str
    provider_settings: Mapping[str, Any]
    session_name: str | None
    is_device: bool
    business_device: bool
    demo: bool
    wanted: bool
    pace_min_seconds: float | None
    pace_max_seconds: float | None
    daily_limit: int | None
    warm_up_days: int | None
    warm_up_from: datetime | None
    received_callback_url: str | None
    delivery_callback_url: str | None
    message_status_callback_url: str | None
    connected_callback_url: str | None
    disconnected_callback_url: str | None
    presence_chat_callback_url: str | None
    notify_sent_by_me: bool
    call_reject_auto: bool
    call_reject_message: str | None
    auto_read_message: bool
    auto_read_status: bool
    disable_enqueue_when_disconnected: bool
    trial_ends_at: datetime | None
    subscribed: bool
    with_calls: bool
    canceled_at: datetime | None
    created_at: datetime
    client_token_hash: bytes | None
    client_token_required: bool
    allowed_addresses: tuple[str, ...] = field(default=())
    refuse_opted_out: bool = False
    proxy_ciphertext: bytes | None = None
    proxy_key_id: str | None = None
    own_settings: Mapping[str, Any] = field(default_factory=dict)
    """Feature settings of the instance, and of its account where it has none."""
    history_sync_url: str | None = None
    proxy_url: str | None = None
    """The webhook of failing proxies; the proxy itself is sealed."""
    message_filters: tuple[str, ...] = field(default=())
    callback_type_filters: tuple[str, ...] = field(default=())
    connection_id: str | None = None
    """Of the active connection. None where the row was read without it."""
    settings_ciphertext: bytes | None = field(default=None, repr=False)
    settings_key_id: str | None = None

    @property
    def sealed_settings(self) -> Sealed | None:
        """The settings of the active connection; None while `provider_settings` has them."""
        if self.settings_ciphertext is None or self.settings_key_id is None:
            return None
        return Sealed(self.settings_key_id, self.settings_ciphertext)

    @property
    def sealed_proxy(self) -> Sealed | None:
        if self.proxy_ciphertext is None or self.proxy_key_id is None:
            return None
        return Sealed(self.proxy_key_id, self.proxy_ciphertext)


class Instances:
    """Finds instances, in a cache if it can.

    A notification about an instance or its account removes it from the cache; a lost connection
    empties the cache. Unknown ids are cached for a moment too, so that wrong ids cost no queries.
    """

    def __init__(
        self,
        database: Database,
        *,
        max_cached: int = _MAX_CACHED,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._max_count, self._seconds = database, max_cached, seconds
        self._look_ups = database.for_look_ups()
        self._known: OrderedDict[str, Instance] = OrderedDict()
        self._unknown_until: OrderedDict[str, float] = OrderedDict()
        self._changes = 0

    def listen(self, notifications: Notifications) -> None:
        notifications.subscribe(
            "instance_changed", self._drop_instance, on_reconnect=self._drop_all
        )
        notifications.subscribe("account_changed", self._drop_account)

    async def find(self, instance_id: str) -> Instance | None:
        if found := self._known.get(instance_id):
            self._known.move_to_end(instance_id)
            return found
        if self._unknown_until.get(instance_id, 0.0) > self._seconds():
            return None
        changes_before = self._changes
        found = await self._look_ups.fetch_one(Instance, _FIND_INSTANCE, id=instance_id)
        # A change during the read may be newer than the row: then nothing is cached.
        if changes_before == self._changes:
            self._cache(instance_id, found)
        return found

    async def read(self, instance_id: str) -> Instance | None:
        """Returns the instance as the database has it now: a form must not show an old value."""
        self._drop_instance(instance_id)
        return await self.find(instance_id)

    async def find_named(
        self, account_id: str, named: str, *, field: str, among: frozenset[str] = frozenset()
    ) -> Instance:
        """Returns the instance of an account that has the id or the name *named*.

        Args:
            account_id: the account whose instances are searched.
            named: an id or a name.
            field: the field of the caller that holds it, for errors.
            among: the only instances that the caller may know of; empty sets no limit.

        Raises:
            NotFound: the account has no such instance.
            Conflict: several instances have this name; the text has their ids.
        """
        instance_id = await id_of_named(self._database, account_id, named, field=field, among=among)
        if (instance := await self.find(instance_id)) is None:  # deleted since
            raise NotFound(f"{field}: the account has no instance with this id or name")
        return instance

    async def account_of(self, instance_id: str) -> str:
        """Returns the id of the instance's account; the instance's own id if it is gone."""
        found = await self.find(instance_id)
        return found.account_id if found else instance_id

    def known_account_of(self, instance_id: str) -> str | None:
        """Returns the id of the instance's account, if this node has read it lately."""
        known = self._known.get(instance_id)
        return known.account_id if known else None

    def note_change(self, changed: Instance | Account) -> None:
        """Drops what is cached of an instance or account that this node changed.

        The notification says so, too; the caller's next read may be here before it.
        """
        if isinstance(changed, Instance):
            self._drop_instance(changed.id)
        else:
            self._drop_account(changed.id)

    def _cache(self, instance_id: str, found: Instance | None) -> None:
        if found:
            self._known[instance_id] = found
            if len(self._known) > self._max_count:
                self._known.popitem(last=False)
        elif len(instance_id) <= _MAX_UNKNOWN_LENGTH:
            self._unknown_until[instance_id] = self._seconds() + _UNKNOWN_SECONDS
            self._unknown_until.move_to_end(instance_id)
            if len(self._unknown_until) > _MAX_UNKNOWN:
                self._unknown_until.popitem(last=False)

    def _drop_instance(self, instance_id: str) -> None:
        self._changes += 1
        self._known.pop(instance_id, None)
        self._unknown_until.pop(instance_id, None)

    def _drop_account(self, account_id: str) -> None:
        self._changes += 1
        for instance_id in [i.id for i in self._known.values() if i.account_id == account_id]:
            del self._known[instance_id]

    def _drop_all(self) -> None:
        self._changes += 1
        self._known.clear()
        self._unknown_until.clear()
