"""Deleting an instance or a person reaches the library's own tables in Postgres."""

from pathlib import Path

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from gateway.contract.zapi.messages.text import SendText
from gateway.database.provider_store import ConnectionQueries
from gateway.providers.whatsmeow.provider import provider
from gateway.sessions.provider import ErasedPerson, MessageReceived
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import exchange_fences, node_at


async def test_library_tables_lose_the_person_and_then_the_device(
    database_url: str, operator: AsyncConnection, tmp_path: Path, whatsapp: FakeWhatsApp
) -> None:
    async with node_at(database_url, tmp_path, whatsapp) as node:
        one, friend = await node.linked("one"), await node.linked("friend")
        await one.send(SendText(phone=friend.phone, message="hello"), "HELLO")
        receipt = await friend.send(SendText(phone=one.phone, message="hi"), "HI")
        received = await one.wait_for_message(receipt.provider_message_id)
        await exchange_fences(one, friend)
    stranger = "5511900009999"
    await operator.execute(
        """insert into whatsmeow.whatsmeow_contacts (our_jid, their_jid, full_name)
           select device, user_part || '@s.whatsapp.net', 'Somebody'
           from whatsmeow.devices, unnest(%s::text[]) user_part
           where instance_id = 'one'
           on conflict (our_jid, their_jid) do update set full_name = excluded.full_name""",
        ([friend.phone, stranger],),
    )
    queries = ConnectionQueries(operator, provider="whatsmeow")

    assert received.chat_lid
    before = await naming(operator, one.phone, [friend.phone, received.chat_lid])
    assert {"whatsmeow_sessions", "whatsmeow_identity_keys", "whatsmeow_contacts"} <= before.keys()
    addresses = [friend.phone, received.chat_lid]
    person = ErasedPerson(addresses, [receipt.provider_message_id])

    assert await provider.erase_person(queries, "one", person)

    assert await contacts(operator, one.phone) == [stranger]
    assert await naming(operator, one.phone, [friend.phone, received.chat_lid]) == {}
    assert sorted(await devices(operator)) == sorted([one.phone, friend.phone])
    while await provider.delete_instance(queries, "one", max_rows=10):
        pass
    assert await devices(operator) == [friend.phone]
    assert await contacts(operator, one.phone) == []


async def test_deletion_before_the_library_made_its_tables_succeeds(
    database_url: str, operator: AsyncConnection
) -> None:
    del database_url
    await operator.execute(
        """insert into whatsmeow.devices (instance_id, device, kept_in)
           values ('one', '5511900000001:3@s.whatsapp.net', 'postgres')"""
    )
    queries = ConnectionQueries(operator, provider="whatsmeow")
    assert await provider.erase_person(queries, "one", ErasedPerson(["5511977776666"], [])) == 0
    assert await provider.delete_instance(queries, "one", max_rows=10) == 1


async def test_person_who_was_erased_can_write_and_be_written_to(
    database_url: str, operator: AsyncConnection, tmp_path: Path, whatsapp: FakeWhatsApp
) -> None:
    """The keys are gone while both sessions are open: the library agrees on new ones."""
    async with node_at(database_url, tmp_path, whatsapp) as node:
        one, friend = await node.linked("one"), await node.linked("friend")
        receipt = await friend.send(SendText(phone=one.phone, message="hi"), "HI")
        received = await one.wait_for_message(receipt.provider_message_id)
        await exchange_fences(one, friend)
        assert received.chat_lid
        queries = ConnectionQueries(operator, provider="whatsmeow")
        person = ErasedPerson([friend.phone, received.chat_lid], [])
        assert await provider.erase_person(queries, "one", person)

        again = await friend.send(SendText(phone=one.phone, message="again"), "AGAIN")
        await one.wait_for(
            MessageReceived,
            lambda m: m.provider_message_id == again.provider_message_id and bool(m.content),
        )
        await exchange_fences(one, friend)


async def naming(operator: AsyncConnection, phone: str, addresses: list[str]) -> dict[str, int]:
    """Counts, by table of the library, the rows of the device of *phone* that name a person."""
    cursor = await operator.execute(
        """select table_name from information_schema.columns
           where table_schema = 'whatsmeow' and table_name like 'whatsmeow\\_%'
               and column_name = 'our_jid'"""
    )
    who = "|".join(address.partition("@")[0] for address in addresses)
    found = {}
    for (table,) in await cursor.fetchall():
        statement = SQL(
            "select count(*) from {} t where split_part(our_jid, ':', 1) = %s and t::text ~ %s"
        )
        rows = await operator.execute(
            statement.format(Identifier("whatsmeow", table)), (phone, who)
        )
        found[table] = (await rows.fetchall())[0][0]
    return {table: count for table, count in found.items() if count}


async def contacts(operator: AsyncConnection, phone: str) -> list[str]:
    """The numbers of the contacts that the library stores for the device of *phone*."""
    cursor = await operator.execute(
        """select split_part(their_jid, '@', 1) from whatsmeow.whatsmeow_contacts
           where split_part(our_jid, ':', 1) = %s""",
        (phone,),
    )
    return [number for (number,) in await cursor.fetchall()]


async def devices(operator: AsyncConnection) -> list[str]:
    cursor = await operator.execute(
        "select split_part(jid, ':', 1) from whatsmeow.whatsmeow_device"
    )
    return [number for (number,) in await cursor.fetchall()]
