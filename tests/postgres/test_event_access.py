"""An open event stream ends on every node when its token is no longer right."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest
from psycopg import AsyncConnection
from starlette.requests import Request

from gateway.api.authentication import Authenticator
from gateway.api.request_limits import RequestLimits
from gateway.api.stream_callers import StreamCallers
from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.errors import Forbidden, GatewayError, TooManyRequests, Unauthorized
from gateway.instances.accounts import Accounts
from gateway.instances.api_keys import ApiKeys
from gateway.instances.store import Instance
from gateway.instances.tokens import hash_of
from gateway.operations.services import Services
from gateway.token_buckets import Rate
from gateway.users.sessions import UserSessions
from gateway.webhooks import stream as streams
from gateway.webhooks.event_log import EventLog, LoggedEvent
from gateway.webhooks.stream import Page, Stream
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
    services: Services
    callers: StreamCallers
    subscriptions: AsyncExitStack

    async def open(self, **headers: str) -> AsyncGenerator[Page, None]:
        request = Request(
            {
                "type": "http",
                "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
                "client": ("10.1.1.1", 1234),
            }
        )
        account, access = await self.callers.find(request, self.services)
        return await self.subscriptions.enter_async_context(
            self.stream.subscribe(account.id, None, access)
        )


@asynccontextmanager
async def stream_node(
    url: str, *, listens: bool = True, max_followers: int = 50
) -> AsyncIterator[StreamNode]:
    database, clock, stopping = Database(url, min_size=1, max_size=4), Clock(), asyncio.Event()
    stream = Stream(EventLog(database, days=7), clock, max_followers=max_followers)
    keys = ApiKeys(database, clock)
    notifications, listening = Notifications(url, clock), asyncio.Event()
    if listens:
        stream.listen(notifications)
        keys.listen(notifications)
    notifications.subscribe("x", lambda _payload: None, on_reconnect=listening.set)
    unlimited = Rate(0, 1)
    services = SimpleNamespace(
        accounts=Accounts(database, keys),
        sign_in=SimpleNamespace(sessions=UserSessions(database, os.urandom)),
    )
    await database.open()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(stream.run_until(stopping))
        group.create_task(notifications.run_until(stopping))
        try:
            await listening.wait()
            async with AsyncExitStack() as subscriptions:
                yield StreamNode(
                    stream,
                    cast("Services", services),
                    StreamCallers(
                        Authenticator(
                            RequestLimits(clock, account=unlimited, instance=unlimited), ()
                        )
                    ),
                    subscriptions,
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


async def test_callers_who_come_at_once_are_no_more_than_may_follow(
    database_url: str, instance: Instance
) -> None:
    async with stream_node(database_url, max_followers=2) as node:
        calls = [node.open(authorization=f"Bearer {PARTNER}") for _ in range(6)]
        opened = await asyncio.gather(*calls, return_exceptions=True)
        followers = node.stream.followers_of(instance.account_id)
        await node.subscriptions.aclose()  # none of them began to read
        (again,) = await asyncio.gather(node.open(authorization=f"Bearer {PARTNER}"))
        await again.aclose()

    refused = [str(answer) for answer in opened if isinstance(answer, TooManyRequests)]
    assert refused == ["Too many followers of events for this account"] * 4
    assert followers == 2


KEY, SESSION = "gwk_" + "a" * 64, "b" * 64
WITH_KEY = {"authorization": f"Bearer {KEY}"}
IN_SESSION = {"cookie": f"gateway_session={SESSION}"}


@pytest.fixture
async def key(operator: AsyncConnection, instance: Instance) -> None:
    await operator.execute(
        """insert into api_keys (id, account_id, name, token_hash, scopes, created_by)
           values ('K', %s, 'CRM', %s, '{read}', 'test')""",
        [instance.account_id, hash_of(KEY)],
    )


@pytest.fixture
async def session(operator: AsyncConnection, instance: Instance) -> None:
    await operator.execute(
        """with added as (
               insert into users (id, account_id, email, name, role)
               values ('U', %s, 'ana@example.com', 'Ana', 'viewer')
               returning id
           )
           insert into user_sessions (token_hash, user_id, expires_at)
           select %s, id, now() + interval '1 day' from added""",
        [instance.account_id, hash_of(SESSION)],
    )


ENDING_KEYS = {
    "revoked": "delete from api_keys",
    "fewer scopes": "update api_keys set scopes = '{send}'",
    "limited to an instance": "update api_keys set instance_ids = '{x}'",
    "limited to a network": "update api_keys set networks = '{10.9.9.0/24}'",
    "expired": "update api_keys set expires_at = now()",
    "another account": "update accounts set allowed_addresses = '{10.9.9.0/24}'",
}
ENDING_SESSIONS = {
    "signed out": "delete from user_sessions",
    "disabled": "update users set disabled_at = now()",
    "deleted": "delete from users",
    "operator": "update users set role = 'operator', account_id = null",
    "addresses": "update accounts set allowed_addresses = '{10.9.9.0/24}'",
}


@pytest.mark.usefixtures("key", "session")
@pytest.mark.parametrize(
    ("headers", "change"),
    [
        *((WITH_KEY, change) for change in ENDING_KEYS.values()),
        *((IN_SESSION, change) for change in ENDING_SESSIONS.values()),
    ],
    ids=[*ENDING_KEYS, *ENDING_SESSIONS],
)
async def test_open_streams_of_a_key_or_session_end_on_two_nodes(
    *,
    database_url: str,
    operator: AsyncConnection,
    instance: Instance,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    change: str,
) -> None:
    """Notified, not found out: the regular check never comes, and a key is cached for ever."""
    monkeypatch.setattr(streams, "_CHECK_SECONDS", NEVER)
    monkeypatch.setattr("gateway.instances.api_keys._CACHED_SECONDS", NEVER)
    async with stream_node(database_url) as one, stream_node(database_url) as two:
        opened = [await one.open(**headers), await two.open(**headers)]
        await write_events(operator, instance.id, "before")
        for pages in opened:
            await anext(pages)
        reading = [asyncio.create_task(bodies(pages)) for pages in opened]
        await operator.execute(change.encode())
        await asyncio.gather(*reading)
        with pytest.raises((Unauthorized, Forbidden)):
            await one.open(**headers)

    assert [task.result() for task in reading] == [[]] * 2


@pytest.mark.usefixtures("key", "session")
async def test_lost_notification_ends_the_stream_of_a_cached_key(
    database_url: str,
    operator: AsyncConnection,
    instance: Instance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "_CHECK_SECONDS", 0.05)
    monkeypatch.setattr("gateway.instances.api_keys._CACHED_SECONDS", 0.05)
    async with stream_node(database_url, listens=False) as node:
        pages = await node.open(**WITH_KEY)
        await write_events(operator, instance.id, "before")
        await anext(pages)
        await operator.execute("delete from api_keys")

        assert await bodies(pages) == []


@pytest.mark.usefixtures("key", "session")
async def test_a_key_or_session_follows_only_with_its_rights(
    database_url: str, operator: AsyncConnection
) -> None:
    async def refusal(node: StreamNode, **headers: str) -> str:
        with pytest.raises(GatewayError) as refused:
            await node.open(**headers)
        return type(refused.value).__name__

    async with stream_node(database_url) as node:
        both = await refusal(node, **WITH_KEY, **{"partner-token": "gwk_" + "c" * 64})
        wrong = await refusal(node, authorization="Bearer gwk_" + "c" * 64)
        wrong_beside_right = await refusal(
            node, authorization="Bearer gwk_" + "c" * 64, **{"partner-token": PARTNER}
        )
        wrong_token_beside_session = await refusal(node, authorization="Bearer x", **IN_SESSION)
        of_another_page = await refusal(
            node, **IN_SESSION, host="wa.example.com", origin="https://shop.example.com"
        )
        of_its_page = await node.open(
            **IN_SESSION, host="wa.example.com", origin="https://wa.example.com"
        )
        await of_its_page.aclose()
        wrong_session = await refusal(node, cookie="gateway_session=" + "c" * 64)
        await operator.execute("update users set role = 'operator', account_id = null")
        of_no_account = await refusal(node, **IN_SESSION)

    assert (both, of_another_page) == ("InvalidRequest", "Forbidden")
    assert {
        wrong,
        wrong_beside_right,
        wrong_token_beside_session,
        wrong_session,
        of_no_account,
    } == {"Unauthorized"}
