"""A message that is no longer to be sent does not wait for its file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from psycopg import AsyncConnection

from gateway.contract.send import OutgoingMessage
from gateway.media.preparing import NOTHING, Prepared, Preparer, Preparing
from gateway.send_queue.worker import Worker
from tests.fixtures.queue import add_instances, rows, running_node, text_only
from tests.postgres.test_queue_races import Phone

SLOW, NEXT = "a slow file", "the next message"


class SlowPreparer(Preparer):
    """Prepares one message for ever, and says when that begins and ends."""

    def __init__(self) -> None:
        self.begun, self.withdrawn = asyncio.Event(), asyncio.Event()

    def needs_files(self, _message: OutgoingMessage) -> bool:
        return True

    @asynccontextmanager
    async def preparing(
        self, instance_id: str, message: OutgoingMessage, *, account_id: str
    ) -> AsyncIterator[Preparing]:
        if message.readable_text() != SLOW:
            async with text_only().preparing(instance_id, message, account_id=account_id) as ready:
                yield ready
            return
        task = asyncio.create_task(self._wait())
        try:
            yield Preparing(task)
        finally:
            task.cancel()
            await asyncio.wait((task,))
            self.withdrawn.set()

    async def _wait(self) -> Prepared:
        self.begun.set()
        await asyncio.Event().wait()
        return NOTHING


@asynccontextmanager
async def waiting_worker(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[SlowPreparer, Phone]]:
    """Runs a worker that waits for the file of the first of two messages."""
    monkeypatch.setattr("gateway.send_queue.worker._OWNED_CHECK_SECONDS", 0.01)
    monkeypatch.setattr("gateway.send_queue.worker._FILE_PATIENCE_SECONDS", 0.01)
    (instance,) = await add_instances(operator, 1)
    preparer, phone = SlowPreparer(), Phone()
    leaving, wakeup = asyncio.Event(), asyncio.Event()
    async with running_node(database_url) as node:
        for text in (SLOW, NEXT):
            await node.enqueue(instance, text)
        node.fetches.preparer, node.fetches.order = preparer, "strict"
        worker = Worker(node.live(instance, phone), node.worker_dependencies(), wakeup)
        running = asyncio.create_task(worker.run_until(leaving))
        await preparer.begun.wait()
        yield preparer, phone
        leaving.set()
        wakeup.set()
        await running


async def test_canceled_message_withdraws_its_file(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with waiting_worker(database_url, operator, monkeypatch) as (preparer, phone):
        await operator.execute("delete from message_queue where payload ->> 'message' = %s", [SLOW])

        await preparer.withdrawn.wait()
        assert await phone.sent.get() == NEXT


async def test_expired_message_withdraws_its_file(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with waiting_worker(database_url, operator, monkeypatch) as (preparer, phone):
        await operator.execute(
            "update message_queue set expires_at = now() where payload ->> 'message' = %s",
            [SLOW],
        )

        await preparer.withdrawn.wait()
        assert await phone.sent.get() == NEXT
    assert await rows(operator, "select status, last_error from message_queue") == [
        ("failed", "expired")
    ]
