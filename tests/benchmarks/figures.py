"""Figures that Postgres has: one number of one statement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg


@asynccontextmanager
async def operator_of(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


async def number(connection: psycopg.AsyncConnection, statement: str) -> float:
    cursor = await connection.execute(statement.encode())
    ((value,),) = await cursor.fetchall()
    return float(value or 0)
