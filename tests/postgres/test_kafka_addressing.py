"""A record is sent by the instance that it names, if its topic may send as that instance."""

from collections.abc import AsyncIterator

import pytest
from psycopg import AsyncConnection

from gateway.database.pool import Database
from gateway.errors import CallerError, Conflict, NotFound
from gateway.instances.store import Instances
from gateway.kafka.addressing import RecordAddressing
from gateway.kafka.connection import KafkaAccount, accounts_of_topics
from gateway.parsing.records import RecordAddress
from gateway.runtime.kafka_check import kafka_accounts_finding
from gateway.settings.event_sections import KafkaSection
from tests.fixtures.queue import add_instances, running_node

ACME = KafkaAccount("acme", "Acme Ltd")


def named(instance: str, user: str | None = None) -> RecordAddress:
    return RecordAddress("instanceName", instance, by_name=True, user=user)


def with_id(instance: str, user: str | None = None) -> RecordAddress:
    return RecordAddress("instanceId", instance, by_name=False, user=user)


@pytest.fixture
async def database(database_url: str, operator: AsyncConnection) -> AsyncIterator[Database]:
    """Has line-001 Sales, line-002 and line-003 Shop of acme, and line-004 Sales of other."""
    await add_instances(operator, 4)
    await operator.execute("update accounts set name = 'Acme Ltd' where id = 'acme'")
    await operator.execute(
        "insert into accounts (id, name) values ('other', 'Other'), ('b', 'Two')"
    )
    await operator.execute("insert into accounts (id, name) values ('c', 'Two')")
    await operator.execute(
        """update instances set name = case id when 'line-002' then 'Shop' when 'line-003'
           then 'Shop' else 'Sales' end"""
    )
    await operator.execute("update instances set account_id = 'other' where id = 'line-004'")
    async with running_node(database_url) as node:
        yield node.database


@pytest.fixture
def addressing(database: Database) -> RecordAddressing:
    return RecordAddressing(database, Instances(database))


@pytest.mark.parametrize(
    ("account", "address", "expected"),
    [
        (ACME, named("Sales"), "line-001"),
        (ACME, named("Sales", "acme"), "line-001"),
        (ACME, named("Sales", "Acme Ltd"), "line-001"),
        (ACME, named("line-002"), "line-002"),
        (ACME, with_id("line-003", "acme"), "line-003"),
        (None, named("Sales", "Other"), "line-004"),
        (None, named("Sales", "acme"), "line-001"),
        (None, with_id("line-004"), "line-004"),
    ],
)
async def test_record_reaches_the_instance_that_it_names(
    addressing: RecordAddressing,
    account: KafkaAccount | None,
    address: RecordAddress,
    expected: str,
) -> None:
    assert (await addressing.instance(account, address)).id == expected


@pytest.mark.parametrize(
    ("account", "address", "kind", "error"),
    [
        (ACME, named(""), CallerError, "instanceName: is required"),
        (ACME, named("Sa\x00les"), CallerError, "instanceName: must not hold a NUL character"),
        (ACME, named("Missing"), NotFound, "instanceName: the account has no instance with this"),
        (ACME, named("line-004"), NotFound, "instanceName: the account has no instance with this"),
        (ACME, named("Shop"), Conflict, "have this name: line-002, line-003; give one of these"),
        (ACME, named("Sales", "other"), CallerError, "userId: must be the id or the name of the"),
        (ACME, with_id("line-004"), CallerError, "must be an instance of the account of this to"),
        (None, with_id("line-004", "acme"), CallerError, "an instance of the account that userId"),
        (None, with_id("line-9"), CallerError, "instanceId: must be an instance of this gateway"),
        (None, named("Sales"), CallerError, "userId: is required in this topic"),
        (None, named("Sales", "missing"), NotFound, "userId: no account has this id or name"),
        (None, named("Sales", "Two"), Conflict, "userId: several accounts have this name: b, c"),
    ],
)
async def test_record_of_no_right_instance_is_refused(
    addressing: RecordAddressing,
    account: KafkaAccount | None,
    address: RecordAddress,
    kind: type[CallerError],
    error: str,
) -> None:
    with pytest.raises(kind, match=error):
        await addressing.instance(account, address)


async def test_topics_have_their_accounts(database: Database) -> None:
    accounts = await accounts_of_topics(database, {"one": "Acme Ltd", "two": "*"})

    assert accounts == {"one": ACME, "two": None}
    with pytest.raises(NotFound, match="'gone', which does not exist"):
        await accounts_of_topics(database, {"one": "gone"})


@pytest.mark.usefixtures("database")
async def test_doctor_names_accounts_that_do_not_exist(operator: AsyncConnection) -> None:
    def section(accounts: str) -> KafkaSection:
        return KafkaSection.model_validate(
            {
                "GATEWAY_KAFKA_SERVERS": "kafka:9092",
                "GATEWAY_KAFKA_ACCOUNTS": accounts,
                "GATEWAY_KAFKA_SEND": "one=*",
            }
        )

    (right,) = await kafka_accounts_finding(section("acme,Other"), operator)
    (wrong,) = await kafka_accounts_finding(section("acme,gone"), operator)

    assert str(right) == "ok accounts of Kafka: all of them exist."
    assert str(wrong).startswith(
        "!! accounts of Kafka: these do not exist: gone. Cure: create them"
    )
    assert await kafka_accounts_finding(section(""), operator) == []
