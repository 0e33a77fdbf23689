"""Stores the links with which a person without an account links the phone of an instance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.database.repeating import until_answered
from gateway.instances.tokens import hash_of

_CREATE_PHONE_LINK = query("phone_links", "create_phone_link")
_FIND_PHONE_LINK = query("phone_links", "find_phone_link")
_FIND_BY_TOKEN = query("phone_links", "find_phone_link_by_token")
_REVOKE_PHONE_LINK = query("phone_links", "revoke_phone_link")
_COUNT_CODE = query("phone_links", "count_code")
_CONFIRM_LINKING = query("phone_links", "confirm_linking")


class LinkStatus(StrEnum):
    """What became of a link; only a WAITING one shows codes."""

    WAITING = "waiting"
    LINKED = "linked"
    WRONG_PHONE = "wrong_phone"
    REVOKED = "revoked"
    EXPIRED = "expired"
    USED_UP = "used_up"


@dataclass(frozen=True, slots=True)
class PhoneLink:
    """A link as it is stored; `phones` are the spellings of the only number, or empty."""

    instance_id: str
    phones: list[str]
    max_codes: int
    codes_served: int
    created_at: datetime
    expires_at: datetime
    is_expired: bool
    revoked_at: datetime | None
    used_at: datetime | None
    linking: str | None
    unlinked_at: datetime | None

    @property
    def status(self) -> LinkStatus:
        if self.used_at:
            is_wrong = self.linking == "wrong_phone"
            return LinkStatus.WRONG_PHONE if is_wrong else LinkStatus.LINKED
        if self.revoked_at:
            return LinkStatus.REVOKED
        if self.is_expired:
            return LinkStatus.EXPIRED
        return LinkStatus.WAITING

    @property
    def codes_left(self) -> int:
        return max(0, self.max_codes - self.codes_served)

    @property
    def awaits_confirmation(self) -> bool:
        return self.linking == "held" and self.unlinked_at is None


@dataclass(frozen=True, slots=True)
class _Created:
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Confirmed:
    instance_id: str
    woken: int


class PhoneLinks:
    """The links of all instances; an instance has one at most. Only hashes of tokens are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, instance_id: str, token: str, *, phones: Sequence[str], max_codes: int, minutes: int
    ) -> datetime | None:
        """Stores a link in place of the one before; returns its end, None if a phone is linked."""

        async def write(_is_repeated: bool) -> _Created | None:  # noqa: FBT001 - see until_answered
            return await self._database.fetch_one(
                _Created,
                _CREATE_PHONE_LINK,
                instance_id=instance_id,
                token_hash=hash_of(token),
                phones=list(phones),
                max_codes=max_codes,
                minutes=minutes,
            )

        created = await until_answered(write)
        return created.expires_at if created else None

    async def find(self, instance_id: str) -> PhoneLink | None:
        return await self._database.fetch_one(PhoneLink, _FIND_PHONE_LINK, instance_id=instance_id)

    async def find_by_token(self, token: str) -> PhoneLink | None:
        return await self._database.fetch_one(PhoneLink, _FIND_BY_TOKEN, token_hash=hash_of(token))

    async def revoke(self, instance_id: str) -> bool:
        """Returns False if no link was open."""
        return bool(await self._database.execute(_REVOKE_PHONE_LINK, instance_id=instance_id))

    async def count_code(self, token: str, code: str) -> bool:
        """Counts a code before it is shown; returns False if the link must not show it."""
        return bool(
            await self._database.execute(
                _COUNT_CODE, token_hash=hash_of(token), code_hash=hash_of(code)
            )
        )

    async def confirm(self, instance_id: str) -> bool:
        """Ends the hold of a linking; returns False if none waits for it."""
        found = await self._database.fetch_one(
            _Confirmed, _CONFIRM_LINKING, instance_id=instance_id
        )
        return found is not None
