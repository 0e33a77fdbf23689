"""An open event stream ends on every node when its token is no longer right."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from psycopg import AsyncConnection
from starlette.requests import Request

from gateway.api.authentication import Authenticator
from gateway.api.request_limits import RequestLimits
from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.instances.accounts import Accounts
from gateway.instances.store import Instance
from gateway.instances.tokens import hash_of
from gateway.token_buckets import Rate
from gateway.webhooks import stream as streams
from gateway.webhooks.event_log import EventLog, LoggedEvent
from gateway.webhooks.stream import Page, Stream, StreamAccess
from tests.fixtures.event_log import write_events
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.queue import add_instances

PARTNER, CLIENT = "the partner token", "the client token"
NEVER = 10.0**9
CHANGES = {
    "renewed": "update accounts set partner_token_hash = 'x', client_token_hash = 'y'",
    "addresses": "update accounts set allowed_addresses = '{10.9.9.0/24}'",
    "deleted": "delete from instances; delete from accounts",
}


@dataclass
class StreamNode:
    """The part of one gateway process that streams events."""

    stream: Stream
    accounts: Accounts
    authenticator: Authenticator

    async def open(self, **headers: str) -> AsyncGenerator[Page, None]:
        request = Request(
            {
                "type": "http",
                "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
                "client": ("10.1.1.1", 1234),
            }
        )
        account = await self.authenticator.account(request, self.accounts)
        access = StreamAccess(
            lambda: self.authenticator.still_finds(account, request, self.accounts)
        )
        return await self.stream.subscribe(account.id, None, access)


@asynccontextmanager
async def stream_node(url: str, *, listens: bool = True) -> AsyncIterator[StreamNode]:
    database, clock, stopping = Database(url, min_size=1, max_size=4), Clock(), asyncio.Event()
    stream = Stream(EventLog(database, days=7), clock, max_followers=50)
    notifications, listening = Notifications(url, clock), asyncio.Event()
    if listens:
        stream.listen(notifications)
    notifications.subscribe("x", lambda _payload: None, on_reconnect=listening.set)
    unlimited = Rate(0, 1)
    await database.open()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(stream.run_until(stopping))
        group.create_task(notifications.run_until(stopping))
        try:
            await listening.wait()
            yield StreamNode(
                stream,
                Accounts(database),
                Authenticator(RequestLimits(clock, account=unlimited, instance=unlimited), ()),
            )
        finally:
            stopping.set()
    await database.pool.close()


@pytest.fixture
async def instance(operator: AsyncConnection) -> Instance:
    (instance,) = await add_instances(operator, 1)
    await operator.execute(
        "update accounts set partner_token_hash = %s, client_token_hash = %s",
        [hash_of(PARTNER), hash_of(CLIENT)],
    )
    return instance


async def bodies(pages: AsyncGenerator[Page, None]) -> list[str]:
    """Returns everything until the stream ends."""
    return [e.body async for page in pages for e in page if isinstance(e, LoggedEvent)]


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
async def test_open_streams_end_on_two_nodes_when_their_account_changes(
    database_url: str,
    operator: AsyncConnection,
    instance: Instance,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    monkeypatch.setattr(streams, "_CHECK_SECONDS", NEVER)
    async with stream_node(database_url) as one, stream_node(database_url) as two:
        opened = [
            await one.open(authorization=f"Bearer {PARTNER}"),
            await one.open(**{"client-token": CLIENT}),
            await two.open(authorization=f"Bearer {PARTNER}"),
            await two.open(**{"client-token": CLIENT}),
        ]
        await write_events(operator, instance.id, "before")
        for pages in opened:
            await anext(pages)
        reading = [asyncio.create_task(bodies(pages)) for pages in opened]
        await operator.execute(change.encode())
        await asyncio.gather(*reading)
        await operator.execute(
            """insert into webhook_events (account_id, instance_id, chat, id, type, body)
               values ('acme', %s, 'chat', gen_random_uuid(), 'T', 'after')""",
            [instance.id],
        )

    assert [task.result() for task in reading] == [[]] * 4


async def test_change_that_leaves_the_token_right_ends_no_stream(
    database_url: str, operator: AsyncConnection, instance: Instance
) -> None:
    async with stream_node(database_url) as node:
        partner = await node.open(authorization=f"Bearer {PARTNER}")
        client = await node.open(**{"client-token": CLIENT})
        await write_events(operator, instance.id, "before")
        await anext(partner)
        await anext(client)
        reading = asyncio.create_task(bodies(client))
        await operator.execute("update accounts set client_token_hash = 'another'")
        await reading
        await write_events(operator, instance.id, "after")
        (event,) = await anext(partner)
        await partner.aclose()

    assert isinstance(event, LoggedEvent)
    assert event.body == "after"


async def test_stream_ends_although_the_notification_was_lost(
    database_url: str,
    operator: AsyncConnection,
    instance: Instance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "_CHECK_SECONDS", 0.05)
    async with stream_node(database_url, listens=False) as node:
        pages = await node.open(authorization=f"Bearer {PARTNER}")
        await write_events(operator, instance.id, "before")
        await anext(pages)
        await operator.execute(CHANGES["renewed"].encode())

        assert await bodies(pages) == []


async def test_token_revoked_before_the_first_page_is_noticed(
    database_url: str,
    operator: AsyncConnection,
    instance: Instance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The notification came after the token was found right, and before the stream was known."""
    monkeypatch.setattr(streams, "_CHECK_SECONDS", NEVER)
    async with stream_node(database_url, listens=False) as node:
        first = await node.open(authorization=f"Bearer {PARTNER}")
        pages = await node.open(authorization=f"Bearer {PARTNER}")
        await write_events(operator, instance.id, "before")
        await anext(first)  # the check of all streams is over
        await operator.execute(CHANGES["renewed"].encode())
        await bodies(pages)
        await first.aclose()
