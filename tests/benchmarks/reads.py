"""How fast lists are read: p50 and p99 with 50,000 contacts, 5,000 chats and 500 groups.

    python -m tests.benchmarks.reads [requests]

Everything runs for real: a gateway in its own process, over HTTP, on a Postgres of its own.
"""

import asyncio
import statistics
import sys
import time
from typing import LiteralString

import httpx
import psycopg
from typer import echo

from tests.fixtures.postgres import public_folder, running_postgres
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until

CONTACTS, CHATS, GROUPS, MEMBERS = 50_000, 5_000, 500, 50
REQUESTS = 300
READS: tuple[tuple[str, dict[str, int]], ...] = (
    ("/contacts", {"page": 1, "pageSize": 20}),
    ("/contacts", {"page": CONTACTS // 20, "pageSize": 20}),
    ("/contacts", {"page": 1, "pageSize": 1_000}),
    ("/chats", {"page": 1, "pageSize": 20}),
    ("/chats", {"page": CHATS // 20, "pageSize": 20}),
    ("/chats/5511900000001", {}),
    ("/groups", {"page": 1, "pageSize": 20}),
    ("/groups", {"page": GROUPS // 20, "pageSize": 20}),
)
_FILL: tuple[LiteralString, ...] = (
    """
    insert into contacts (instance_id, phone, name, short, notify)
    select %(id)s, (5511900000000 + n)::text, 'Name ' || n, 'N' || n, 'n' || n
    from generate_series(1, %(contacts)s) n
    """,
    """
    insert into chats (instance_id, phone, unread, last_message_at)
    select %(id)s, (5511900000000 + n)::text, n %% 7, now() - make_interval(mins => n)
    from generate_series(1, %(chats)s) n
    """,
    """
    insert into sandbox.entities (instance_id, kind, id, body)
    select %(id)s, 'group', '1203' || n || '-group', jsonb_build_object(
        'id', '1203' || n || '-group', 'name', 'Group ' || n, 'owner', p.phone,
        'created_ms', 1767225600000 + n, 'subject_ms', 1767225600000, 'subject_owner', p.phone,
        'invite', 'i' || n, 'members', jsonb_build_object(p.phone, 'owner') || (
            select jsonb_object_agg((5511900000000 + m)::text, 'member')
            from generate_series(1, %(members)s) m
        )
    )
    from generate_series(1, %(groups)s) n, sandbox.phones p
    where p.instance_id = %(id)s
    """,
)


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS
    with (
        public_folder() as folder,
        running_postgres(folder / "pg") as url,
        running_gateway(folder, url) as gateway,
    ):
        asyncio.run(_measure(gateway, url, requests))


async def _measure(gateway: RunningGateway, url: str, requests: int) -> None:
    await gateway.ready()
    async with client_of(gateway) as client:

        async def device() -> int:
            return (await client.call("GET", "/device")).status_code

        await until(device, lambda status: status == httpx.codes.OK)
        _fill(url, client.demo.instance_id)
        echo(f"{'':52} {'p50 ms':>8} {'p99 ms':>8}")
        for path, query in READS:
            p50, p99 = await _time(client, path, query, requests)
            asked = f"GET {path} " + " ".join(f"{n}={v}" for n, v in query.items())
            echo(f"{asked:52} {p50:8.1f} {p99:8.1f}")


def _fill(url: str, instance_id: str) -> None:
    amounts = {"contacts": CONTACTS, "chats": CHATS, "groups": GROUPS, "members": MEMBERS}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _FILL:
            connection.execute(statement, {"id": instance_id, **amounts})
        connection.execute("analyze")


async def _time(
    client: Client, path: str, query: dict[str, int], requests: int
) -> tuple[float, float]:
    """Milliseconds of the middle and of the slowest hundredth, one request after another."""
    taken = []
    for _ in range(requests):
        began = time.perf_counter()
        answer = await client.call("GET", path, params=query)
        taken.append((time.perf_counter() - began) * 1_000)
        assert answer.status_code == httpx.codes.OK
        assert answer.json()
    cuts = statistics.quantiles(taken, n=100)
    return cuts[49], cuts[98]


if __name__ == "__main__":
    main()
