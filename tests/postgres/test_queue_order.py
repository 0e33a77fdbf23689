"""A message that waits for its file or its next attempt holds its own chat, and no other."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.instance_queue import ClearQueue, ListQueueByPage
from gateway.contract.zapi.messages.media import SendImage
from gateway.database.queries import query
from gateway.errors import TryAgainLater
from gateway.identities.numbers import spellings
from gateway.instances.store import Instance
from gateway.media.preparing import NOTHING, Prepared, Preparer, Preparing
from gateway.send_queue.activity import WorkerActivity
from gateway.send_queue.claim import Claimer
from gateway.send_queue.claim_cursor import ClaimCursor, ClaimedMessage
from gateway.send_queue.operations import clear_queue, list_queue_by_page
from gateway.send_queue.order import MAX_PARKED, QueueOrder
from gateway.send_queue.worker import Worker
from gateway.sessions.provider import Attempt, Receipt
from tests.fixtures.queue import Node, add_instances, rows, running_node, taken
from tests.fixtures.service import until
from tests.postgres.test_queue_maintenance import pages_touched
from tests.postgres.test_queue_races import Phone

ANN, BOB, CAT = "5511999999991", "5511999999992", "5511999999993"
ANNS_LID = "123456789012345@lid"
EVE, EVES_OTHER_SPELLING, EVES_LID = "5531988880001", "553188880001", "223456789012345@lid"
LATER_SECONDS = 3_600.0


class FileServer(Preparer):
    """Prepares the image for a person only when the test says so, and texts at once."""

    def __init__(self) -> None:
        self.begun = {phone: asyncio.Event() for phone in (ANN, BOB, CAT, EVE)}
        self.come = {phone: asyncio.Event() for phone in (ANN, BOB, CAT, EVE)}
        self.withdrawn = {phone: asyncio.Event() for phone in (ANN, BOB, CAT, EVE)}

    @asynccontextmanager
    async def preparing(
        self, instance_id: str, message: OutgoingMessage, *, account_id: str
    ) -> AsyncIterator[Preparing]:
        if not isinstance(message, SendImage):
            yield Preparing(None)
            return
        task = asyncio.create_task(self._prepare(message.phone))
        try:
            yield Preparing(task)
        finally:
            task.cancel()
            await asyncio.wait((task,))
            self.withdrawn[message.phone].set()

    async def _prepare(self, phone: str) -> Prepared:
        self.begun[phone].set()
        await self.come[phone].wait()
        return NOTHING


@dataclass
class BusyPhone(Phone):
    """A session for which WhatsApp is busy once, with the message to one person."""

    busy_for: str | None = None
    refused: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        if message.phone == self.busy_for:
            self.busy_for = None
            self.refused.set()
            raise TryAgainLater("busy", after_seconds=LATER_SECONDS)
        return await super().send(message, attempt)


@dataclass
class Sending:
    """A worker of one instance, and what the test decides on."""

    node: Node
    instance: Instance
    operator: AsyncConnection
    server: FileServer = field(default_factory=FileServer)
    phone: BusyPhone = field(default_factory=BusyPhone)
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    activity: WorkerActivity = field(default_factory=lambda: WorkerActivity(Clock()))

    def __post_init__(self) -> None:
        self.node.fetches.preparer = self.server

    async def run(self) -> None:
        live = self.node.live(self.instance, self.phone)
        deps = self.node.worker_dependencies()
        await Worker(live, deps, self.wakeup, self.activity).run_until(self.leaving)

    def stop(self) -> None:
        self.leaving.set()
        self.wakeup.set()

    async def text(self, to: str, message: str, **fields: Any) -> None:
        await self.node.enqueue(self.instance, message, phone=to, **fields)
        self.wakeup.set()

    async def image(self, to: str, caption: str) -> None:
        image = SendImage(phone=to, image="https://files.example/a.png", caption=caption)
        await self.node.enqueuer.enqueue(self.instance, image)
        self.wakeup.set()

    async def sent(self, count: int = 1) -> list[str]:
        return [await self.phone.sent.get() for _ in range(count)]

    async def waiting_for(self) -> list[str | None]:
        """Says of each queued message why it waits, in order of acceptance."""
        context = replace(
            self.node.queue_context(self.instance), activity_of=lambda _id: self.activity
        )
        items = await list_queue_by_page(context, ListQueueByPage())
        return [item.waiting_for for item in items]


@asynccontextmanager
async def sending(
    url: str, operator: AsyncConnection, order: QueueOrder = "chat"
) -> AsyncIterator[Sending]:
    """Runs a node; the test starts the worker."""
    (instance,) = await add_instances(operator, 1)
    await operator.execute("update instance_lines set queue_order = %s", [order])
    async with running_node(url) as node:
        yield Sending(node, instance, operator)


@asynccontextmanager
async def running(sending: Sending) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(sending.run())
        yield
        sending.stop()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.send_queue.worker._FILE_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr("gateway.send_queue.worker._OWNED_CHECK_SECONDS", 0.01)
    monkeypatch.setattr("gateway.send_queue.file_fetches._LOOK_SECONDS", 0.01)


# --- What waits, and what passes ----------------------------------------------------------------


async def test_awaited_file_lets_other_chats_pass(
    database_url: str, operator: AsyncConnection
) -> None:
    async with sending(database_url, operator) as run:
        await run.image(ANN, "picture for Ann")
        await run.text(ANN, "text for Ann")
        await run.text(BOB, "text for Bob")
        async with running(run):
            assert await run.sent() == ["text for Bob"]
            await until(run.waiting_for, lambda reasons: reasons == ["file", "chat"])

            await run.text(CAT, "text for Cat")
            assert await run.sent() == ["text for Cat"]

            run.server.come[ANN].set()
            assert await run.sent(2) == ["picture for Ann", "text for Ann"]
    assert await rows(operator, "select attempts from messages") == [1, 1, 1, 1]


async def test_awaited_file_holds_its_chat_by_every_name(
    database_url: str, operator: AsyncConnection
) -> None:
    async with sending(database_url, operator) as run:
        await operator.execute(
            "insert into whatsapp_numbers (instance_id, spelling, phone) values (%s, %s, %s)",
            [run.instance.id, CAT, ANN],
        )
        await operator.execute(
            "insert into identities (instance_id, lid, phone) values (%s, %s, %s)",
            [run.instance.id, ANNS_LID, ANN],
        )
        await run.image(ANN, "picture for Ann")
        await run.text(ANNS_LID, "by lid")
        await run.text(CAT, "by another spelling")
        await run.text(BOB, "text for Bob")
        async with running(run):
            assert await run.sent() == ["text for Bob"]
            await until(run.waiting_for, lambda reasons: reasons == ["file", "chat", "chat"])
            await run.text(ANNS_LID, "by lid again")
            run.server.come[ANN].set()
            assert await run.sent(4) == [
                "picture for Ann",
                "by lid",
                "by another spelling",
                "by lid again",
            ]


async def test_awaited_file_holds_the_other_spelling_of_an_unknown_number(
    database_url: str, operator: AsyncConnection
) -> None:
    async with sending(database_url, operator) as run:
        await _add_lid(operator, run.instance, EVES_LID, EVES_OTHER_SPELLING)
        await run.image(EVE, "picture for Eve")
        await run.text(EVES_OTHER_SPELLING, "by another spelling")
        await run.text(EVES_LID, "by lid")
        await run.text(BOB, "text for Bob")
        async with running(run):
            assert await run.sent() == ["text for Bob"]
            await until(run.waiting_for, lambda reasons: reasons == ["file", "chat", "chat"])
            run.server.come[EVE].set()
            assert await run.sent(3) == ["picture for Eve", "by another spelling", "by lid"]


@pytest.mark.parametrize(
    ("behind", "passing"),
    [
        (EVE, EVES_OTHER_SPELLING),
        (EVES_OTHER_SPELLING, EVE),
        (EVES_LID, EVE),
        (EVES_LID, EVES_OTHER_SPELLING),
        (EVE, EVES_LID),
    ],
)
async def test_no_name_of_a_person_passes_a_message_behind(
    database_url: str, operator: AsyncConnection, behind: str, passing: str
) -> None:
    async with sending(database_url, operator) as run:
        await _add_lid(operator, run.instance, EVES_LID, EVES_OTHER_SPELLING)
        await operator.execute(_FILL, {"phone": behind, "first": 1, "last": 1})
        await operator.execute("update message_queue set status = 'behind'")
        await operator.execute(_FILL, {"phone": passing, "first": 2, "last": 2})
        cursor = ClaimCursor(run.instance.id, epoch=1, has_parked=False)
        assert await run.node.claimer.claim(cursor) is None
        cursor.has_parked = True
        assert (await run.node.claim(cursor)).phone == behind


async def test_every_spelling_is_one_chat_of_the_queue(operator: AsyncConnection) -> None:
    numbers = ["5531988880001", "5491123456789", "5215512345678", "5511999999999", "4915112345678"]
    for number in numbers:
        names = spellings(number)
        found = await rows(
            operator,
            """select distinct queue_chat_v1('line', n),
                      array(select unnest(queue_names_v1('line', n)) order by 1)
               from unnest(%s::text[]) n""",
            [list(names)],
        )
        assert found == [(min(names, key=len), sorted(names))]


async def _add_lid(operator: AsyncConnection, instance: Instance, lid: str, phone: str) -> None:
    await operator.execute(
        "insert into identities (instance_id, lid, phone) values (%s, %s, %s)",
        [instance.id, lid, phone],
    )


async def test_awaited_file_holds_a_strict_queue(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, looked_often = itertools.count(1), asyncio.Event()
    owns = Claimer.owns

    async def counted(claimer: Claimer, claimed: ClaimedMessage) -> bool:
        if next(looks) == 5:  # each time the worker would have parked it
            looked_often.set()
        return await owns(claimer, claimed)

    monkeypatch.setattr(Claimer, "owns", counted)
    async with sending(database_url, operator, "strict") as run:
        await run.image(ANN, "picture for Ann")
        await run.text(BOB, "text for Bob")
        async with running(run):
            await looked_often.wait()
            assert await run.waiting_for() == ["file", "turn"]
            run.server.come[ANN].set()
            assert await run.sent(2) == ["picture for Ann", "text for Bob"]


async def test_message_that_is_retried_lets_other_chats_pass(
    database_url: str, operator: AsyncConnection
) -> None:
    async with sending(database_url, operator) as run:
        run.phone.busy_for = ANN
        await run.text(ANN, "first for Ann")
        await run.text(ANN, "urgent for Ann", priority="high")
        await run.text(BOB, "text for Bob")
        await run.text(ANN, "second for Ann")
        run.phone.busy_for = ANN
        async with running(run):
            assert await run.sent() == ["text for Bob"]
            reasons = await until(run.waiting_for, lambda reasons: len(reasons) == 3)
            assert sorted(map(str, reasons)) == ["chat", "chat", "retry"]
            await operator.execute("update message_queue set due_at = now()")
            run.wakeup.set()
            assert set(await run.sent(3)) == {"first for Ann", "urgent for Ann", "second for Ann"}


async def test_message_that_is_retried_holds_its_lane_of_a_strict_queue(
    database_url: str, operator: AsyncConnection
) -> None:
    async with sending(database_url, operator, "strict") as run:
        run.phone.busy_for = ANN
        await run.text(ANN, "text for Ann")
        await run.text(BOB, "text for Bob")
        async with running(run):
            await run.phone.refused.wait()
            await run.text(CAT, "urgent for Cat", priority="high")
            assert await run.sent() == ["urgent for Cat"]
            await until(run.waiting_for, lambda reasons: reasons == ["retry", "turn"])
            await operator.execute("update message_queue set due_at = now()")
            run.wakeup.set()
            assert await run.sent(2) == ["text for Ann", "text for Bob"]


async def test_file_is_fetched_before_the_turn_of_its_message(
    database_url: str, operator: AsyncConnection
) -> None:
    async with sending(database_url, operator) as run:
        await run.image(ANN, "picture for Ann")
        await run.image(BOB, "picture for Bob")
        run.server.come[BOB].set()
        await run.text(CAT, "slow text", priority="high", delay_message=1)
        async with running(run):
            await run.server.begun[BOB].wait()
            assert run.phone.sent.empty()
            assert await rows(operator, "select distinct attempts from message_queue") == [0]
            await run.node.queue_context(run.instance).database.execute(
                query("send_queue", "pause_queue"), instance_id=run.instance.id, paused=True
            )
            await clear_queue(run.node.queue_context(run.instance), ClearQueue())
            await run.server.withdrawn[ANN].wait()
            await run.server.withdrawn[BOB].wait()


async def test_cleared_parked_message_wakes_its_worker(
    database_url: str, operator: AsyncConnection
) -> None:
    async with sending(database_url, operator) as run:
        await run.image(ANN, "picture for Ann")
        await run.text(ANN, "text for Ann")
        async with running(run):
            await until(run.waiting_for, lambda reasons: reasons == ["file", "chat"])
            await operator.execute('listen "node:a"')
            cleared = await clear_queue(
                run.node.queue_context(run.instance), ClearQueue(type="send-image")
            )
            assert cleared.removed == 1
            async for notification in operator.notifies(stop_after=1):
                assert notification.payload == run.instance.id
            run.wakeup.set()
            assert await run.sent() == ["text for Ann"]
            await run.server.withdrawn[ANN].wait()


async def test_new_worker_fetches_the_file_again(
    database_url: str, operator: AsyncConnection
) -> None:
    async with sending(database_url, operator) as run:
        await run.image(ANN, "picture for Ann")
        async with running(run):
            await until(run.waiting_for, lambda reasons: reasons == ["file"])
        assert run.server.withdrawn[ANN].is_set()
        run.leaving.clear()
        run.server.come[ANN].set()
        async with running(run):
            assert await run.sent() == ["picture for Ann"]


# --- Bounds, other nodes and cost ---------------------------------------------------------------

_FILL = """
insert into message_queue (
    instance_id, sequence_number, position, version, priority, max_attempts, status, zaap_id,
    message_id, type, phone, payload
)
select 'line-001', n, n, 1, 1, 3, 'pending', 'Z' || n, 'M' || n, 'send-text',
       %(phone)s, '{"message": "x"}'
from generate_series(%(first)s::int, %(last)s::int) n
"""
_PARK = """
update message_queue set status = 'parked', parked_for = 'retry', due_at = now() + interval '1 day'
where sequence_number = %s
"""


async def test_seventeenth_message_that_waits_holds_its_lane(
    database_url: str, operator: AsyncConnection
) -> None:
    async with sending(database_url, operator) as run:
        cursor = ClaimCursor(run.instance.id, epoch=1)
        for n in range(MAX_PARKED + 3):
            await run.text(f"55119999990{n:02}", f"{n}")
        for _ in range(MAX_PARKED):
            claimed = await run.node.claim(cursor)
            assert await _park_for_file(run.node, claimed.id, claim_id=claimed.claim_id)
            cursor.has_parked = True
        claimed = await run.node.claim(cursor)
        assert not await _park_for_file(run.node, claimed.id, claim_id=claimed.claim_id)
        await run.node.recorder.record(claimed, taken(claimed))
        await operator.execute(
            "update message_queue set attempts = 1, due_at = now() + interval '1 day' "
            "where status = 'pending' and sequence_number = %s",
            [MAX_PARKED + 2],
        )
        assert await run.node.claimer.claim(cursor) is None
        assert (await run.waiting_for())[-2:] == ["retry", "turn"]

        cursor.ready_ids.add(claimed.id - 1)  # the file of the last parked message comes
        assert (await run.node.claim(cursor)).id == claimed.id - 1


async def test_new_epoch_returns_parked_messages_to_the_line(
    database_url: str, operator: AsyncConnection
) -> None:
    """A node of the previous release finds no state that it does not know."""
    async with sending(database_url, operator) as run:
        cursor = ClaimCursor(run.instance.id, epoch=1)
        for phone in (ANN, ANN, BOB, CAT):
            await run.text(phone, "x")
        first = await run.node.claim(cursor)
        assert await _park_for_file(run.node, first.id, claim_id=first.claim_id)
        cursor.has_parked = True
        late = await run.node.claim(cursor)
        assert late.phone == BOB

        await operator.execute("update instance_leases set epoch = 2")

        assert not await _park_for_file(run.node, late.id, claim_id=late.claim_id)
        found = await rows(
            operator,
            """select status, parked_for is null, due_at <= now()
               from message_queue order by sequence_number""",
        )
        waits = ("pending", True, True)
        assert found == [waits, waits, ("processing", True, True), waits]


async def test_claim_does_not_walk_along_messages_behind(
    database_url: str, operator: AsyncConnection
) -> None:
    pages = {}
    for count in (10, 10_000):
        await operator.execute("truncate accounts, message_queue cascade")
        async with sending(database_url, operator) as run:
            await operator.execute(_FILL, {"phone": ANN, "first": 1, "last": count})
            await operator.execute(_FILL, {"phone": BOB, "first": count + 1, "last": count + 2})
            await operator.execute(_PARK, [1])
            await operator.execute("vacuum analyze message_queue")
            cursor = ClaimCursor(run.instance.id, epoch=1)
            passing = await run.node.claim(cursor)
            assert passing.phone == BOB
            await run.node.recorder.record(passing, taken(passing))
            await operator.execute("vacuum analyze message_queue")
            pages[count] = [
                await pages_touched(operator, query("send_queue", name), **_parameters(name))
                for _ in range(2)
                for name in ("arrange", "claim", "mark_idle")
            ][3:]
            assert (await run.node.claim(cursor)).phone == BOB
    few, many = pages.values()
    assert all(more <= less + 16 for less, more in zip(few, many, strict=True)), pages


async def _park_for_file(node: Node, row_id: int, *, claim_id: uuid.UUID | None) -> bool:
    return bool(
        await node.database.fetch_dicts(
            query("send_queue", "park_for_file"),
            instance_id="line-001",
            id=row_id,
            epoch=1,
            claim_id=claim_id,
            default_order="chat",
            max_parked=MAX_PARKED,
            max_seconds=LATER_SECONDS,
        )
    )


def _parameters(name: str) -> dict[str, Any]:
    """Returns the parameters for a new worker, which reads each lane from the front."""
    front = -(2**63)
    if name == "mark_idle":
        return {"instance_ids": ["line-001"]}
    common = {
        "instance_ids": ["line-001"],
        "epochs": [1],
        "reordered": [-1],
        "from_high": [front],
        "from_normal": [front],
        "from_bulk": [front],
        "first_position": front,
    }
    if name == "claim":
        lanes = {"first": [0], "second": [1], "third": [2]}
        return {**common, **lanes, "claim_ids": [uuid.uuid4()], "earlier_claim_ids": []}
    bounds = {"default_order": "chat", "max_parked": MAX_PARKED, "max_run": 500}
    return {**common, **bounds, "all_files": [False], "ready_ids": []}
