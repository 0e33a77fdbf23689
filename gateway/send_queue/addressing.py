"""Finds the numbers by which WhatsApp knows the people that a message names.

known from the claim, or stored  -->  used
unknown  -->  WhatsApp is asked once, with all spellings  -->  stored
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import OperationalError

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.contacts import LookUpNumber, LookUpPhones
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, GatewayError, NotConnected, Refused
from gateway.identities.numbers import every_spelling, number_in, spellings
from gateway.identities.people import Person, resolve_people
from gateway.instances.feature_settings import FeatureSettings
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.send_queue.claim_cursor import ClaimedMessage
from gateway.sessions.live import LiveSession

_FIND_NUMBERS = query("identities", "find_numbers")
_STORE_NUMBERS = query("identities", "store_numbers")

_ANSWER_SECONDS = 10.0
MAX_ADDRESSING_SECONDS = 2 * _ANSWER_SECONDS
"""The recipient is looked up, then the other people."""
_ABSENT_SECONDS = 3_600.0
_MAX_ABSENT = 10_000
_REST_SECONDS = 60.0
"""How long no number is looked up after WhatsApp did not answer a look-up."""
_MAX_NAMED = 20
"""How many numbers of mentions and cards one message may look up; others stay as given."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """A message as it is to be sent.

    Attributes:
        message: with the numbers that WhatsApp knows.
        numbers: by which number WhatsApp knows each number that the caller wrote.
        chat: the name of the chat; None if it is not known, and for a group.
        absent: the recipient's number, if it is not on WhatsApp.
    """

    message: OutgoingMessage
    numbers: Mapping[str, str]
    chat: str | None
    absent: str | None = None

    def require_recipient(self) -> None:
        """Raises Refused if the recipient is not on WhatsApp."""
        if self.absent:
            raise Refused(f"the number {self.absent} is not on WhatsApp")


@dataclass(frozen=True, slots=True)
class _Wanted:
    instance_id: str
    phones: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Number:
    instance_id: str
    spelling: str
    phone: str


@dataclass(frozen=True, slots=True)
class _Found:
    """The answer to a look-up: numbers that WhatsApp knows, with their lids if they are known."""

    instance_id: str
    numbers: Mapping[str, str]
    lids: Mapping[str, str]


class NumberDirectory:
    """Knows the numbers that WhatsApp knows, and looks up those that it does not know yet.

    A number that is not on WhatsApp is remembered for an hour, in this process only.
    """

    def __init__(self, database: Database, clock: Clock, *, features: FeatureSettings) -> None:
        self._database, self._clock, self._features = database, clock, features
        self._reads = Batch[_Wanted, Mapping[str, str]](self._read)
        self._writes = Batch[_Found, None](self._write)
        self._absent_until: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._resting_until: dict[str, float] = {}

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reads.run_until(stopping))
            group.create_task(self._writes.run_until(stopping))

    async def address(
        self, live: LiveSession, row: ClaimedMessage, message: OutgoingMessage
    ) -> Addressed:
        """Returns the message as it is to be sent; with the numbers as given if no answer comes."""
        instance_id, named = live.instance.id, message.numbers()
        looks_up = self._features.with_own(live.instance.own_settings).number_lookup
        numbers = {row.phone: row.known_chat} if row.known_chat and row.phone in named else {}
        # The claim has looked for the recipient; only a look-up is worth another statement.
        unknown = [
            phone for phone in named if phone not in numbers and (looks_up or phone != row.phone)
        ]
        if unknown:
            numbers |= await self._stored(instance_id, unknown)
            unknown = [phone for phone in unknown if phone not in numbers]
        absent = None
        if unknown and looks_up:
            if row.phone in unknown:
                absent = await self._look_up_recipient(live, row.phone, numbers)
            await self._look_up_named(live, [p for p in unknown if p != row.phone], numbers)
        return Addressed(
            message.with_numbers(numbers), numbers, numbers.get(row.phone, row.known_chat), absent
        )

    async def _look_up_recipient(
        self, live: LiveSession, phone: str, numbers: dict[str, str]
    ) -> str | None:
        """Adds the recipient's number to *numbers*; returns *phone* if it is not on WhatsApp."""
        key, now = (live.instance.id, min(spellings(phone))), self._clock.monotonic_seconds()
        if self._absent_until.get(key, now) > now:
            return phone
        found = await self._ask(live, LookUpNumber(phones=spellings(phone)))
        if found is None:
            return None
        if known := number_in(phone, found):
            numbers[phone] = known
            await self._store(live.instance.id, {phone: known}, found)
            return None
        self._absent_until[key] = now + _ABSENT_SECONDS
        self._absent_until.move_to_end(key)
        while len(self._absent_until) > _MAX_ABSENT:
            self._absent_until.popitem(last=False)
        return phone

    async def _look_up_named(
        self, live: LiveSession, phones: Sequence[str], numbers: dict[str, str]
    ) -> None:
        """Adds the numbers of mentions and cards that can be written in several ways."""
        doubtful = [phone for phone in phones if len(spellings(phone)) > 1][:_MAX_NAMED]
        if not doubtful:
            return
        found = await self._ask(live, LookUpPhones(phones=tuple(every_spelling(doubtful))))
        known = {p: number for p in doubtful if (number := number_in(p, found or {}))}
        if known and found:
            numbers |= known
            await self._store(live.instance.id, known, found)

    async def _ask(
        self, live: LiveSession, operation: LookUpPhones
    ) -> Mapping[str, str | None] | None:
        """Returns what WhatsApp knows of the phones; None if it does not answer."""
        instance_id = live.instance.id
        if self._resting_until.get(instance_id, 0.0) > self._clock.monotonic_seconds():
            return None
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await live.session.execute(operation)
        except NotConnected:
            return None
        except (GatewayError, TimeoutError) as error:
            logger.warning(
                "number_not_looked_up", instance_id=instance_id, error=type(error).__name__
            )
        except Exception as error:  # noqa: BLE001 - the message goes to the number as given
            report_error(error, component="number_directory", instance_id=instance_id)
        self._resting_until[instance_id] = self._clock.monotonic_seconds() + _REST_SECONDS
        return None

    async def _stored(self, instance_id: str, phones: Sequence[str]) -> Mapping[str, str]:
        try:
            return await self._reads.submit(_Wanted(instance_id, phones))
        except DatabaseUnavailable:
            return {}

    async def _store(
        self, instance_id: str, known: Mapping[str, str], found: Mapping[str, str | None]
    ) -> None:
        lids = {number: lid for number in known.values() if (lid := found.get(number))}
        by_spelling = {s: number for phone, number in known.items() for s in spellings(phone)}
        try:
            await self._writes.submit(_Found(instance_id, by_spelling, lids))
        except DatabaseUnavailable:
            return  # the next message looks it up again
        except Exception as error:  # noqa: BLE001 - the message goes to the number that was found
            report_error(error, component="number_directory", instance_id=instance_id)

    async def _read(self, wanted: list[_Wanted]) -> Sequence[Mapping[str, str]]:
        asked = [
            (each.instance_id, spelling)
            for each in wanted
            for spelling in every_spelling(each.phones)
        ]
        rows = await self._database.fetch_all(
            _Number,
            _FIND_NUMBERS,
            instance_ids=[instance_id for instance_id, _ in asked],
            spellings=[spelling for _, spelling in asked],
        )
        known = {(row.instance_id, row.spelling): row.phone for row in rows}
        return [
            {
                phone: number
                for phone in each.phones
                if (number := _first_known(known, each.instance_id, phone))
            }
            for each in wanted
        ]

    async def _write(self, found: list[_Found]) -> Sequence[NextFlush | None]:
        numbers = [
            (each.instance_id, spelling, phone)
            for each in found
            for spelling, phone in each.numbers.items()
        ]
        try:
            async with self._database.connection() as connection:
                await connection.execute(
                    _STORE_NUMBERS,
                    {
                        "instance_ids": [instance_id for instance_id, _, _ in numbers],
                        "spellings": [spelling for _, spelling, _ in numbers],
                        "phones": [phone for _, _, phone in numbers],
                    },
                )
                for each in found:
                    people = [Person(lid, phone) for phone, lid in each.lids.items()]
                    await resolve_people(connection, each.instance_id, people)
        except OperationalError:  # a lost race, see driver_errors_translated
            return [NEXT_FLUSH] * len(found)
        return [None] * len(found)


def _first_known(known: Mapping[tuple[str, str], str], instance_id: str, phone: str) -> str | None:
    return next(
        (known[instance_id, s] for s in spellings(phone) if (instance_id, s) in known), None
    )
