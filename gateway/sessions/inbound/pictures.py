r"""Finds links to the pictures of people and groups, and looks up those that are not known.

callback --> find: what is stored --> in the callback
                |
                \--> unknown, or to be refreshed: one look-up after another, with pauses --> stored

A callback never waits for a look-up: a later one of the same person has the link.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from psycopg import AsyncConnection, OperationalError

from gateway.clock import Clock
from gateway.contract.internal.profile_picture import LookUpPicture
from gateway.contract.spellings import is_group
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.errors import (
    DatabaseUnavailable,
    GatewayError,
    NotConnected,
    NotSupported,
)
from gateway.instances.store import Instance
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.sessions.provider import Session

_FIND_PICTURES = query("pictures", "find_pictures")
_STORE_PICTURE = query("pictures", "store_picture")
_DROP_PICTURES = query("pictures", "drop_pictures")
_DELETE_EXPIRED_PICTURES = query("pictures", "delete_expired_pictures")

PAUSE_SECONDS = 5.0
"""Between two look-ups of an instance."""
REST_SECONDS = 300.0
"""Without look-ups, after WhatsApp did not answer one."""
MAX_WAITING = 100
"""Names that wait for a look-up; a further one is looked up after its next message."""
LINK_SECONDS = 48 * 3_600.0
"""How long a link counts at most; WhatsApp's own links say when they end."""
_ANSWER_SECONDS = 20.0
_NONE_SECONDS = 24 * 3_600.0
_REFRESHED_AFTER = 0.75  # of the time that a link works
_LID = "@lid"


@dataclass(frozen=True, slots=True)
class PictureAnswer:
    """What is stored of a picture; `is_due`: it is to be looked up again."""

    phone: str
    url: str | None
    is_due: bool


@dataclass(frozen=True, slots=True)
class _Dropped:
    phone: str


class SessionOfInstance(Protocol):
    """The open session that looks up, and its instance."""

    instance: Instance
    session: Session


class SessionPictures:
    """The pictures that one session knows and looks up. `close` ends the look-ups.

    The task is no PeriodicLoop: it ends when no name waits. At most one runs at a time.
    """

    def __init__(
        self, database: Database, live: SessionOfInstance, clock: Clock, *, looks_up: bool
    ) -> None:
        self._database, self._live, self._clock = database, live, clock
        self._looks_up = looks_up
        self._wanted: dict[str, None] = {}
        self._waiting: dict[str, None] = {}
        self._resting_until = 0.0
        self.task: asyncio.Task[None] | None = None

    async def find(
        self, connection: AsyncConnection, names: Iterable[str | None]
    ) -> Mapping[str, str]:
        """Returns the links that are known, by name; `start_look_ups` looks up the others.

        *names* may hold None and names that have no picture, such as those of broadcast lists.
        """
        wanted = list(dict.fromkeys(name for name in names if name and _has_picture(name)))
        if not wanted:
            return {}
        rows = await fetch_all(
            connection,
            PictureAnswer,
            _FIND_PICTURES,
            instance_id=self._live.instance.id,
            names=wanted,
        )
        for name in set(wanted) - {row.phone for row in rows if not row.is_due}:
            self._wanted.setdefault(name)
        return {row.phone: row.url for row in rows if row.url}

    async def changed(self, connection: AsyncConnection, names: Iterable[str | None]) -> None:
        """Drops pictures that WhatsApp says have changed; `start_look_ups` looks them up again."""
        rows = await fetch_all(
            connection,
            _Dropped,
            _DROP_PICTURES,
            instance_id=self._live.instance.id,
            names=[name for name in names if name],
        )
        for row in rows:
            self._wanted.setdefault(row.phone)

    async def close(self) -> None:
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    def start_look_ups(self) -> None:
        """Looks up what committed events want; an answer is stored only of known people."""
        wanted, self._wanted = self._wanted, {}
        if not self._looks_up or self._resting_until > self._clock.monotonic_seconds():
            return
        for name in wanted:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.setdefault(name)
        if self._waiting and (self.task is None or self.task.done()):
            self.task = asyncio.create_task(self._run(), name="pictures")

    async def _run(self) -> None:
        while self._waiting:
            name = next(iter(self._waiting))
            try:
                await self._look_up(name)
            except Exception as error:  # noqa: BLE001 - callbacks go on without pictures
                self._rest(error)
            self._waiting.pop(name, None)
            await self._clock.sleep(PAUSE_SECONDS)

    async def _look_up(self, name: str) -> None:
        async with asyncio.timeout(_ANSWER_SECONDS):
            found = await self._live.session.execute(LookUpPicture(phone=name))
        seconds = self._seconds_of(found.url) if found.url else _NONE_SECONDS
        if seconds > 0:
            await self._database.execute(
                _STORE_PICTURE,
                instance_id=self._live.instance.id,
                phone=name,
                url=found.url,
                seconds=seconds,
                refresh_seconds=seconds * _REFRESHED_AFTER if found.url else seconds,
            )

    def _seconds_of(self, url: str) -> float:
        """Returns how long a link counts."""
        ends_at = end_of_link(url)
        if ends_at is None:
            return LINK_SECONDS
        return min(LINK_SECONDS, ends_at - self._clock.now().timestamp())

    def _rest(self, error: Exception) -> None:
        """Drops what waits: a later message of each person has it looked up again."""
        self._waiting.clear()
        if isinstance(error, NotSupported):
            self._looks_up = False
            return
        if isinstance(error, NotConnected | DatabaseUnavailable | OperationalError):
            return
        self._resting_until = self._clock.monotonic_seconds() + REST_SECONDS
        instance_id = self._live.instance.id
        if isinstance(error, GatewayError | TimeoutError):
            logger.warning(
                "picture_not_looked_up", instance_id=instance_id, error=type(error).__name__
            )
        else:
            report_error(error, component="pictures", instance_id=instance_id)


def end_of_link(url: str) -> float | None:
    """Returns when a link of WhatsApp ends, in seconds since 1970, by its `oe` in hexadecimal."""
    try:
        (text,) = parse_qs(urlsplit(url).query).get("oe", [""])
        return float(int(text, 16)) if 0 < len(text) <= 8 else None  # noqa: PLR2004 - 32 bits
    except ValueError:
        return None


async def delete_expired_pictures(database: Database, *, max_count: int) -> int:
    """Deletes links that have ended; returns how many."""
    return await database.execute(_DELETE_EXPIRED_PICTURES, max_count=max_count)


def _has_picture(name: str) -> bool:
    return name.isdigit() or name.endswith(_LID) or is_group(name)
