"""Checks for `gateway doctor` whether Kafka can be used as it is configured."""

import asyncio
from collections.abc import Collection
from typing import Final

from psycopg import AsyncConnection

from gateway.database.pool import fetch_all
from gateway.database.queries import query
from gateway.errors import InvalidSettings
from gateway.runtime.finding import Finding
from gateway.runtime.kafka import brokers_of
from gateway.settings.event_sections import KafkaSection

_FIND_ACCOUNTS: Final = query("kafka", "find_accounts")
_SUBJECT: Final = "Kafka"
_MAX_SECONDS: Final = 10.0
_ANY_ACCOUNT: Final = "*"


async def kafka_finding(kafka: KafkaSection) -> Finding:
    """Connects to the brokers and looks for the consumed topics."""
    if kafka.servers is None:
        return Finding(_SUBJECT, "it is off, because GATEWAY_KAFKA_SERVERS is not set")
    consumed = [*kafka.send, *kafka.schedule]
    if not consumed and not kafka.accounts:
        return Finding(
            _SUBJECT,
            "GATEWAY_KAFKA_SERVERS is set, but nothing is published and no topic is consumed",
            "set GATEWAY_KAFKA_ACCOUNTS, GATEWAY_KAFKA_SEND or GATEWAY_KAFKA_SCHEDULE",
            is_warning=True,
        )
    try:
        topics = await _topics(kafka)
    except InvalidSettings as error:
        return Finding(_SUBJECT, "its library is not installed", str(error))
    except (TimeoutError, OSError, _KafkaProblem) as error:
        return Finding(
            _SUBJECT,
            f"{kafka.servers} does not answer ({_name_of(error)})",
            "start the brokers, or correct GATEWAY_KAFKA_SERVERS, GATEWAY_KAFKA_SECURITY and the "
            "SASL variables",
            is_warning=not kafka.required,
        )
    if missing := [topic for topic in consumed if topic not in topics]:
        return Finding(
            _SUBJECT,
            f"{kafka.servers} answers, but these topics do not exist: {', '.join(missing)}",
            "create them, or correct GATEWAY_KAFKA_SEND and GATEWAY_KAFKA_SCHEDULE",
            is_warning=True,
        )
    return Finding(_SUBJECT, f"{kafka.servers} answers, and every consumed topic exists")


async def kafka_accounts_finding(kafka: KafkaSection, connection: AsyncConnection) -> list[Finding]:
    """Looks for the accounts that the settings of Kafka name; nothing where they name none."""
    named = {*kafka.accounts, *kafka.send.values(), *kafka.schedule.values()} - {_ANY_ACCOUNT}
    if kafka.servers is None or not named:
        return []
    rows = await fetch_all(connection, dict, _FIND_ACCOUNTS, named=sorted(named))
    known = {value for row in rows for value in row.values()}
    if missing := sorted(named - known):
        return [
            Finding(
                "accounts of Kafka",
                f"these do not exist: {', '.join(missing)}",
                "create them with `gateway accounts create`, or correct the variables of Kafka",
                is_warning=True,
            )
        ]
    return [Finding("accounts of Kafka", "all of them exist")]


class _KafkaProblem(Exception):
    """The brokers refuse or cannot be reached; the text is the name of the library's error."""


def _name_of(error: Exception) -> str:
    return str(error) if isinstance(error, _KafkaProblem) else type(error).__name__


async def _topics(kafka: KafkaSection) -> Collection[str]:
    brokers = brokers_of(kafka)
    assert brokers is not None
    from aiokafka import AIOKafkaConsumer  # noqa: PLC0415 - an extra
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - an extra

    client = AIOKafkaConsumer(**brokers.options(), enable_auto_commit=False)
    try:
        async with asyncio.timeout(_MAX_SECONDS):
            await client.start()
            found: Collection[str] = await client.topics()
            return found
    except KafkaError as error:
        raise _KafkaProblem(type(error).__name__) from error
    finally:
        await client.stop()
