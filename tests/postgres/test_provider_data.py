"""A provider's secrets are stored encrypted; its data goes with an instance or a person."""

import json
import os
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from gateway.administration.erasure import Erasure
from gateway.administration.people import PeopleContext, erase
from gateway.administration.person_search import PersonSearch
from gateway.administration.provider_data import ProviderData
from gateway.administration.removal import Remover
from gateway.clock import Clock
from gateway.contract.extensions.contacts import ErasePerson
from gateway.database.notifications import Notifications
from gateway.database.payload_seal import PayloadSeal
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import InvalidSettings
from gateway.identities.numbers import spellings
from gateway.instances.creation import NewInstance, Registry
from gateway.instances.provider_settings import open_settings, secret_fields
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import TokenVault
from gateway.sessions.provider import Provider
from tests.providers.fake_provider import FakeProvider

ANA, ANAS_LID = "5511988887777", "811111111111111@lid"
OLD, NEW = "o" * 32, "n" * 32
GIVEN = {"url": "https://api.example.com", "apiKey": "top secret"}
SECRET = secret_fields(FakeProvider.instance_settings)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, min_size=1, max_size=2)
    await database.open()
    yield database
    await database.pool.close()


async def instance_in(database: Database, **settings: Any) -> NewInstance:
    vault = TokenVault((OLD,), os.urandom)
    registry = Registry(database, vault, os.urandom, secret_settings=lambda _name: SECRET)
    account = await registry.add_account("Shop", client_token_required=True)
    return await registry.add_instance(
        account.id, "One", provider="fake", provider_settings=settings or GIVEN
    )


async def found(database: Database, instance: NewInstance) -> Instance:
    row = await Instances(database).find(instance.id)
    assert row
    return row


def test_secret_fields_are_found_by_type_under_name_and_alias() -> None:
    assert secret_fields(FakeProvider.instance_settings) == {"api_key", "apiKey"}
    assert isinstance(FakeProvider(), Provider)


async def test_secret_setting_is_stored_encrypted_and_opened(database: Database) -> None:
    stored = (await found(database, await instance_in(database))).provider_settings

    assert stored["url"] == GIVEN["url"]
    assert "top secret" not in json.dumps(stored)
    for secrets in ((OLD,), (NEW, OLD)):
        assert open_settings(stored, SECRET, TokenVault(secrets, os.urandom)) == GIVEN
    with pytest.raises(InvalidSettings):
        open_settings(stored, SECRET, TokenVault((NEW,), os.urandom))


async def test_secret_setting_that_is_no_text_comes_back_the_same(database: Database) -> None:
    given = {"url": "https://api.example.com", "apiKey": {"id": 1, "parts": ["a", None]}}
    stored = (await found(database, await instance_in(database, **given))).provider_settings

    assert "parts" not in json.dumps(stored)
    assert open_settings(stored, SECRET, TokenVault((OLD,), os.urandom)) == given


async def test_plain_setting_of_an_earlier_release_is_still_read(
    database: Database, operator: AsyncConnection
) -> None:
    instance = await instance_in(database)
    await operator.execute(
        "update instances set provider_settings = %s where id = %s", (Jsonb(GIVEN), instance.id)
    )

    stored = (await found(database, instance)).provider_settings

    assert open_settings(stored, SECRET, TokenVault((OLD,), os.urandom)) == GIVEN


async def test_removal_clears_the_gateways_rows_and_the_providers(
    database: Database, operator: AsyncConnection
) -> None:
    provider, instance = FakeProvider(), await instance_in(database)
    provider.rows = {instance.id: 5, "other": 5}
    await operator.execute(
        """insert into identities (instance_id, lid, phone)
           select i, n || '@lid', n::text
           from unnest(%s::text[]) i, generate_series(1, 5) n""",
        ([instance.id, "other"],),
    )
    provider_data = ProviderData(database, lambda: [provider])
    remover = Remover(database, Clock(), provider_data, lapse_seconds=0, rows_at_once=2)

    await remover.remove(instance.id)
    assert await remover.clear_removed() == 1

    cursor = await operator.execute("select distinct instance_id from identities")
    assert await cursor.fetchall() == [("other",)]
    assert provider.rows == {instance.id: 0, "other": 5}


async def test_erasure_gives_the_provider_addresses_and_message_ids(
    database: Database, operator: AsyncConnection
) -> None:
    provider, instance = FakeProvider(), await instance_in(database)
    await operator.execute(
        "insert into identities (instance_id, lid, phone) values (%s, %s, %s)",
        (instance.id, ANAS_LID, ANA),
    )
    erasure = Erasure(database, ProviderData(database, lambda: [provider]))
    search = PersonSearch(database, PayloadSeal((NEW,), os.urandom), Clock(), erasure)
    context = PeopleContext(database, erasure, search, await found(database, instance))

    erased = await erase(context, ErasePerson(phone=cast("Any", ANA)))

    assert erased.erased["provider"] == 3
    ((instance_id, person),) = provider.erased
    assert instance_id == instance.id
    assert set(person.addresses) == {*spellings(ANA), ANAS_LID}, "both spellings"


async def test_provider_without_sql_has_a_store(database: Database, database_url: str) -> None:
    notifications = Notifications(database_url, Clock())
    store = PostgresProviderStore(database, notifications, provider="fake")
    async with store.signals():
        await store.signal("one")
