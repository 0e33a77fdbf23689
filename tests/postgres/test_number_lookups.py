"""A worker looks each number up once, and sends to the number that WhatsApp knows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from psycopg import AsyncConnection

from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.contacts import LookUpNumber, LookUpPhones
from gateway.contract.zapi.messages.places_and_people import SendContact
from gateway.contract.zapi.messages.text import SendText
from gateway.database import migrations as migrator
from gateway.errors import InvalidRequest, NotConnected, NotSupported
from gateway.identities.numbers import spellings
from gateway.identities.people import Person, names_of, resolve_people
from gateway.instances.feature_settings import FeatureSettings
from gateway.instances.store import Instance
from gateway.send_queue.addressing import NumberDirectory
from gateway.send_queue.worker import Worker
from gateway.sessions.provider import Attempt, Receipt, ReportedEvent, Result
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.queue import Node, add_instances, rows, running_node

WRITTEN, KNOWN, LID = "5531988880001", "553188880001", "811111111111111@lid"
OTHER, OTHER_KNOWN = "5215512345678", "525512345678"
ABSENT = "14155550123"
NUMBERS_MIGRATION = 35
CHATS = "select phone, unread, note, pinned from chats order by phone"


class SettableClock:
    """The clock of the directory, which a test moves."""

    def __init__(self) -> None:
        self.now_seconds = 1_000.0

    def monotonic_seconds(self) -> float:
        return self.now_seconds


@dataclass
class Phone:
    """A session that knows some numbers, or fails each look-up."""

    known: Mapping[str, str | None]
    failure: Exception | None = None
    asked: list[LookUpPhones] = field(default_factory=list)
    sent: asyncio.Queue[tuple[OutgoingMessage, Attempt]] = field(default_factory=asyncio.Queue)

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        self.sent.put_nowait((message, attempt))
        return Receipt(attempt.message_id)

    async def execute(self, operation: Operation[Result]) -> Result:
        assert isinstance(operation, LookUpPhones)
        self.asked.append(operation)
        if self.failure:
            raise self.failure
        return cast("Result", {p: self.known[p] for p in operation.phones if p in self.known})

    async def check_health(self) -> None:
        pass

    async def events(self) -> AsyncIterator[ReportedEvent]:
        raise NotImplementedError
        yield

    async def next(self) -> tuple[OutgoingMessage, Attempt]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.sent.get()


@dataclass
class Bench:
    """An instance with its worker, whose look-ups a test counts."""

    node: Node
    instance: Instance
    phone: Phone
    clock: SettableClock
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, *messages: OutgoingMessage) -> None:
        for message in messages:
            await self.node.enqueuer.enqueue(self.instance, message)
        self.wakeup.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Phone]:
        """Runs a new worker with a directory of its own, as a node does that starts."""
        numbers = NumberDirectory(
            self.node.database, cast("Any", self.clock), features=FeatureSettings()
        )
        deps = replace(self.node.worker_dependencies(), numbers=numbers)
        worker = Worker(self.node.live(self.instance, self.phone), deps, self.wakeup)
        leaving, stopping = asyncio.Event(), asyncio.Event()
        directory = asyncio.create_task(numbers.run_until(stopping))
        running = asyncio.create_task(worker.run_until(leaving))
        try:
            yield self.phone
        finally:
            leaving.set()
            self.wakeup.set()
            await running
            stopping.set()
            await directory


@pytest.fixture
async def bench(database_url: str, operator: AsyncConnection) -> AsyncIterator[Bench]:
    (instance,) = await add_instances(operator, 1)
    phone = Phone({KNOWN: LID, OTHER_KNOWN: None, "5511999999999": None})
    async with running_node(database_url) as node:
        yield Bench(node, instance, phone, SettableClock())


def text(phone: str, message: str = "hi", **fields: Any) -> SendText:
    return SendText(phone=phone, message=message, **fields)


async def failures(operator: AsyncConnection, enough: Callable[[int], bool]) -> list[Any]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await rows(
                operator, "select last_error from message_queue where status = 'failed' order by id"
            )
            if enough(len(found)):
                return found
            await asyncio.sleep(0.02)  # another connection writes it


async def test_number_is_looked_up_once_even_after_a_restart(
    bench: Bench, operator: AsyncConnection
) -> None:
    async with bench.working() as phone:
        await bench.send(text(WRITTEN), text(KNOWN), text(WRITTEN))
        sent = [await phone.next() for _ in range(3)]
    async with bench.working() as phone:
        await bench.send(text(WRITTEN))
        sent.append(await phone.next())

    assert [message.phone for message, _ in sent] == [KNOWN] * 4
    assert sent[0][1].numbers == {WRITTEN: KNOWN}
    assert phone.asked == [LookUpNumber(phones=(WRITTEN, KNOWN))]
    assert await rows(operator, "select lid, phone from identities") == [(LID, KNOWN)]
    assert await rows(operator, "select phone from chats") == [KNOWN]
    assert await rows(operator, "select distinct chat from webhook_events") in ([], [KNOWN])
    sent_to = await rows(operator, "select phone from messages order by sequence_number")
    assert sent_to == [WRITTEN, KNOWN, WRITTEN, WRITTEN], "history has what callers wrote"


async def test_who_wrote_before_is_not_looked_up(bench: Bench, operator: AsyncConnection) -> None:
    async with bench.node.database.transaction() as connection:
        await resolve_people(connection, bench.instance.id, [Person(LID, KNOWN)])
    async with bench.working() as phone:
        await bench.send(text(WRITTEN))
        message, _ = await phone.next()

    assert (message.phone, phone.asked) == (KNOWN, [])


async def test_absent_number_fails_and_is_looked_up_again_after_an_hour(
    bench: Bench, operator: AsyncConnection
) -> None:
    async with bench.working() as phone:
        await bench.send(text(ABSENT), text(ABSENT))
        failed = await failures(operator, lambda count: count == 2)
        assert failed == [f"the number {ABSENT} is not on WhatsApp"] * 2
        assert len(phone.asked) == 1
        bench.clock.now_seconds += 3_600.0
        phone.known = {ABSENT: None}
        await bench.send(text(ABSENT))
        message, _ = await phone.next()

    assert (message.phone, len(phone.asked)) == (ABSENT, 2)
    assert await rows(operator, "select outcome from message_attempts") == ["refused"] * 2


@pytest.mark.parametrize(
    "failure",
    [InvalidRequest("WhatsApp refused: 429: rate-overlimit"), NotSupported(), ValueError("odd")],
)
async def test_look_up_that_fails_sends_to_the_number_as_given(
    bench: Bench, failure: Exception
) -> None:
    bench.phone.failure = failure
    async with bench.working() as phone:
        await bench.send(text(WRITTEN), text(OTHER))
        sent = [(await phone.next())[0].phone for _ in range(2)]
        assert sent == [WRITTEN, OTHER]
        assert len(phone.asked) == 1, "it waits a minute before the next look-up"
        phone.failure = None
        bench.clock.now_seconds += 60.0
        await bench.send(text(WRITTEN))
        message, _ = await phone.next()

    assert message.phone == KNOWN


async def test_look_up_without_connection_does_not_stop_the_next(bench: Bench) -> None:
    bench.phone.failure = NotConnected("You are not connected.")
    async with bench.working() as phone:
        await bench.send(text(WRITTEN), text(OTHER))
        sent = [(await phone.next())[0].phone for _ in range(2)]

    assert (sent, len(phone.asked)) == ([WRITTEN, OTHER], 2)


async def test_chats_without_a_number_are_never_looked_up(bench: Bench) -> None:
    chats = ["120363019502650977-group", LID, "120363166555745933@newsletter", "status@broadcast"]
    async with bench.working() as phone:
        await bench.send(*map(text, chats))
        sent = [(await phone.next())[0].phone for _ in chats]

    assert (sent, phone.asked) == (chats, [])


async def test_mentions_and_cards_name_what_whatsapp_knows(bench: Bench) -> None:
    mentioning = text(
        "120363019502650977-group", f"@{WRITTEN} and @{ABSENT}", mentioned=(WRITTEN, ABSENT)
    )
    card = SendContact(phone=WRITTEN, contact_name="Ana", contact_phone=OTHER)
    async with bench.working() as phone:
        await bench.send(mentioning, card)
        said, _ = await phone.next()
        shown, attempt = await phone.next()

    assert isinstance(said, SendText)
    assert (said.message, said.mentioned) == (f"@{KNOWN} and @{ABSENT}", (KNOWN, ABSENT))
    assert isinstance(shown, SendContact)
    (tel,) = [
        line
        for each in shown.cards()
        for line in each.vcard(attempt.numbers).splitlines()
        if line.startswith("TEL")
    ]
    assert tel.endswith(f"waid={OTHER_KNOWN}:+{OTHER}"), "it is dialled as it was given"
    assert [list(operation.phones) for operation in phone.asked] == [
        [WRITTEN, KNOWN],
        list(spellings(OTHER)),
    ], "a number with one spelling needs no look-up"


async def test_chat_of_another_spelling_moves_to_the_known_number(
    bench: Bench, operator: AsyncConnection
) -> None:
    instance_id = bench.instance.id
    await operator.execute(
        "insert into chats (instance_id, phone, unread, note, pinned)"
        " values (%s, %s, 2, 'call back', true), (%s, %s, 3, null, false)",
        [instance_id, WRITTEN, instance_id, LID],
    )
    await operator.execute(
        "insert into contacts (instance_id, phone, name) values (%s, %s, 'Ana')",
        [instance_id, WRITTEN],
    )
    async with bench.working() as phone:
        await bench.send(text(WRITTEN))
        await phone.next()

    assert await rows(operator, CHATS) == [(KNOWN, 5, "call back", True)]
    assert await rows(operator, "select phone, name from contacts") == [(KNOWN, "Ana")]


async def test_names_of_a_person_are_the_same_by_each_of_them(bench: Bench) -> None:
    async with bench.node.database.transaction() as connection:
        await resolve_people(connection, bench.instance.id, [Person(LID, KNOWN)])

    for name in (WRITTEN, KNOWN, LID):
        names = await names_of(bench.node.database, bench.instance.id, name)
        assert names.chat == KNOWN
        assert sorted(names.every) == sorted([WRITTEN, KNOWN, LID])


async def test_upgrade_takes_the_numbers_that_events_have_reported(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [each for each in migrator.migrations() if each.number < NUMBERS_MIGRATION]
    with monkeypatch.context() as patched:
        patched.setattr(migrator, "migrations", lambda: before)
        patched.setattr(migrator, "create_missing_functions", _no_functions)
        await migrator.migrate(empty_database_url)
    people = [KNOWN, "5511988887777", "5491123456789", OTHER_KNOWN, "14155550123"]
    async with await AsyncConnection.connect(empty_database_url, autocommit=True) as connection:
        for number, phone in enumerate(people):
            await connection.execute(
                "insert into identities (instance_id, lid, phone) values ('one', %s, %s)",
                [f"{number}@lid", phone],
            )
        await migrator.migrate(empty_database_url)
        stored = await rows(connection, "select spelling, phone from whatsapp_numbers")

    assert sorted(stored) == sorted((s, phone) for phone in people for s in spellings(phone))


async def _no_functions(_connection: object) -> list[object]:
    return []
