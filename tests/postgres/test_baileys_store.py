"""Keys of a linked device follow the gateway's secret; events that cannot be read stay a while."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from psycopg import AsyncConnection
from structlog.testing import capture_logs

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.payload_seal import PayloadSeal, key_id_of
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.database.sealing import EncryptionRules, Sealing
from gateway.providers.baileys.store import BaileysStore
from gateway.runtime.payload_keys import payload_key_findings
from gateway.settings.node_sections import StorageSection
from tests.fixtures.queue import rows

FIRST, SECOND = "first" * 8, "second" * 8
COUNT = 450
NewStore = Callable[..., Any]


@pytest.fixture
async def new_store(database_url: str) -> AsyncIterator[NewStore]:
    """Opens the store of a node that has these secrets."""
    async with AsyncExitStack() as stack:

        async def opened(*secrets: str) -> BaileysStore:
            sealing = Sealing(PayloadSeal(secrets, os.urandom), EncryptionRules(default=False))
            database = Database(database_url, min_size=1, max_size=1, sealing=sealing)
            await database.open()
            stack.push_async_callback(database.pool.close)
            clock = Clock()
            notifications = Notifications(database_url, clock)
            provider = PostgresProviderStore(database, notifications, provider="baileys")
            return BaileysStore(provider, clock)

        yield opened


async def linked(store: BaileysStore, *, epoch: int = 1) -> None:
    assert await store.raise_fence("ana", epoch)
    pairs = [("pre-key", str(number), f'"{number}"') for number in range(COUNT)]
    assert await store.commit("ana", epoch, rows=pairs)


async def key_ids_in_use(operator: AsyncConnection) -> dict[str, int]:
    found = await rows(
        operator, "select substring(value, 8, 8), count(*)::int from baileys.keys group by 1"
    )
    return dict(found)


async def findings(operator: AsyncConnection, secrets: str) -> list[str]:
    storage = StorageSection.model_validate({"GATEWAY_SECRET_KEY": secrets})
    return [each.sentence for each in await payload_key_findings(storage, operator)]


async def test_keys_move_to_the_new_secret_when_a_session_opens(
    new_store: NewStore, operator: AsyncConnection
) -> None:
    first = await new_store(FIRST)
    await linked(first)
    await first.reseal_keys("ana", 1)
    assert await key_ids_in_use(operator) == {key_id_of(FIRST): COUNT}
    (used,) = await findings(operator, f"{SECOND},{FIRST}")
    assert used.endswith(f"(key {key_id_of(FIRST)}): 1 linked device may still need it")

    second = await new_store(SECOND, FIRST)
    await second.reseal_keys("ana", 1)

    assert await key_ids_in_use(operator) == {key_id_of(SECOND): COUNT}
    assert await second.keys("ana", "pre-key", ["7", "449"]) == {"7": '"7"', "449": '"449"'}
    (unused,) = await findings(operator, f"{SECOND},{FIRST}")
    assert "no content needed it at 20" in unused
    (missing,) = await findings(operator, FIRST)
    assert missing.startswith(f"1 linked device may need key {key_id_of(SECOND)}, which")


async def test_key_that_changes_meanwhile_and_an_older_epoch_write_nothing_back(
    new_store: NewStore, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await new_store(FIRST), await new_store(SECOND, FIRST)
    await linked(first)
    fetch = BaileysStore._fetch

    async def fetch_after_a_commit(store: BaileysStore, name: str, **given: Any) -> Any:
        if name == "reseal_keys" and "7" in given["ids"]:
            assert await first.commit("ana", 1, rows=[("pre-key", "7", '"newer"')])
        return await fetch(store, name, **given)

    monkeypatch.setattr(BaileysStore, "_fetch", fetch_after_a_commit)
    await second.reseal_keys("ana", 1)
    monkeypatch.undo()
    assert await second.keys("ana", "pre-key", ["7"]) == {"7": '"newer"'}
    assert await key_ids_in_use(operator) == {key_id_of(SECOND): COUNT - 1, key_id_of(FIRST): 1}

    assert await second.raise_fence("ana", 2)
    await second.reseal_keys("ana", 1)
    assert (await key_ids_in_use(operator))[key_id_of(FIRST)] == 1
    await second.reseal_keys("ana", 2)
    assert await key_ids_in_use(operator) == {key_id_of(SECOND): COUNT}


async def test_keys_that_no_secret_opens_stay_as_they_are(
    new_store: NewStore, operator: AsyncConnection
) -> None:
    await linked(await new_store(FIRST))
    before = await rows(operator, "select value from baileys.keys order by id")
    without = await new_store(SECOND)
    await without.reseal_keys("ana", 1)
    assert await rows(operator, "select value from baileys.keys order by id") == before


async def test_event_set_aside_is_said_once_and_deleted_after_thirty_days(
    new_store: NewStore, operator: AsyncConnection
) -> None:
    store = await new_store(FIRST)
    assert await store.raise_fence("ana", 1)
    assert await store.commit("ana", 1, events=[("Receipt", {}), ("Receipt", {})])
    old, new = await store.events("ana", after=0)
    for event in (old, new):
        assert await store.set_event_aside("ana", event.id, error="KeyError")
        assert not await store.set_event_aside("ana", event.id, error="KeyError")
    await operator.execute(
        "update baileys.events set at = now() - interval '31 days' where id = %s", [old.id]
    )

    with capture_logs() as logged:
        await store.delete_expired()

    assert [each["count"] for each in logged if each["event"] == "events_given_up"] == [1]
    assert await rows(operator, "select id from baileys.events") == [new.id]


async def test_message_with_a_long_id_is_stored_once(new_store: NewStore) -> None:
    store = await new_store(FIRST)
    assert await store.raise_fence("ana", 1)
    message = {"Info": {"ID": "A" * 10_000, "MessageSource": {"Chat": {"User": "1"}}}}
    assert await store.commit("ana", 1, events=[("Message", message)])
    assert await store.is_stored("ana", message)
    assert await store.commit("ana", 1, events=[("Message", message | {"IsCopy": True})])
    assert len(await store.events("ana", after=0)) == 1
