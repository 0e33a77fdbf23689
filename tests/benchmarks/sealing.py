"""What encryption of content costs: microseconds of each value, and accepted messages a second.

    python -m tests.benchmarks.sealing

Both sides accept the same messages through an Enqueuer of their own, with and without encryption.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.contract.zapi.messages.text import SendText
from gateway.database.payload_seal import PayloadSeal
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.database.sealed_columns import BODY, MESSAGE, Kind
from gateway.database.sealing import EncryptionRules, Sealing
from gateway.instances.store import Instance
from gateway.randomness import RandomBuffer
from gateway.send_queue.enqueue import Enqueuer, QueueLimits
from tests.benchmarks.harness import Rounds, Side, add_instances, fresh_database, main, say

_INSTANCES, _MESSAGES, _ROUNDS, _VALUES = 50, 4_000, 5, 20_000
_TEXT = "Your order 4711 is on its way."
_PAYLOAD = f'{{"phone":"5511999999999","message":"{_TEXT}","priority":1}}'
_BODY = (
    '{"type":"ReceivedCallback","instanceId":"3C67AB641C8AA0412F6A2242B4E23AC7","phone":'
    '"5511999999999","momment":1767225600000,"fromMe":false,"isGroup":false,"senderName":"Ana",'
    f'"messageId":"3EB0577D10A2B4C6D8E9F1","status":"RECEIVED","text":{{"message":"{_TEXT}"}}}}'
)


def microseconds_of(kind: Kind, plain: str) -> tuple[float, float]:
    """Returns the mean time to seal and to open a value as statements do, over many instances."""
    seal = PayloadSeal(("s" * 32,), RandomBuffer(os.urandom))
    began = time.perf_counter()
    sealed = [kind.sealed(seal, f"instance {n % 50}", plain) for n in range(_VALUES)]
    seconds = time.perf_counter() - began
    stored = sealed if kind is BODY else [seal_object(text) for text in sealed]
    began = time.perf_counter()
    for n, value in enumerate(stored):
        kind.opened(seal, f"instance {n % 50}", value)
    return seconds / _VALUES * 1e6, (time.perf_counter() - began) / _VALUES * 1e6


def seal_object(text: str) -> dict[str, str]:
    """Returns what Postgres gives back of a `jsonb` column."""
    found: dict[str, str] = orjson.loads(text)
    return found


@asynccontextmanager
async def accepting(url: str, *, encrypts: bool) -> AsyncIterator[Side]:
    """Yields a side that accepts messages, all at once, and returns how many a second."""
    seal = PayloadSeal(("s" * 32,), RandomBuffer(os.urandom))
    database = Database(url, max_size=4, sealing=Sealing(seal, EncryptionRules(default=encrypts)))
    await database.open()
    enqueuer = Enqueuer(
        database,
        node_id="bench",
        limits=QueueLimits(max_waiting=0, max_waiting_disconnected=0, max_attempts=3),
        clock=Clock(),
        random_bytes=RandomBuffer(os.urandom),
        wake=lambda _ids: None,
    )
    stopping = asyncio.Event()
    running = asyncio.create_task(enqueuer.run_until(stopping))
    async with await AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("select id from instances")
        found = [
            (await fetch_all(connection, Instance, query("instances", "find_instance"), id=each))[0]
            for (each,) in await cursor.fetchall()
        ]
    message = SendText(phone="5511999999999", message=_TEXT)

    async def side() -> float:
        began = time.perf_counter()
        await asyncio.gather(
            *(enqueuer.enqueue(found[n % len(found)], message) for n in range(_MESSAGES))
        )
        return _MESSAGES / (time.perf_counter() - began)

    try:
        yield side
    finally:
        stopping.set()
        await running
        await database.pool.close()


async def run(server_url: str) -> None:
    for name, kind, plain in (("payload", MESSAGE, _PAYLOAD), ("callback", BODY, _BODY)):
        seal, opened = microseconds_of(kind, plain)
        size = len(str(kind.sealed(PayloadSeal(("s",), os.urandom), "one", plain))) / len(plain)
        say(
            f"  {name} of {len(plain)} bytes: seal {seal:.1f} us, open {opened:.1f} us, {size:.2f}x"
        )
    async with fresh_database(server_url) as url:
        await add_instances(url, _INSTANCES, wanted=False)
        async with (
            accepting(url, encrypts=False) as plain_side,
            accepting(url, encrypts=True) as sealed_side,
        ):
            rounds = Rounds("messages/s", {"plain": plain_side, "encrypted": sealed_side})
            await rounds.run(_ROUNDS)
            rounds.report()
            rounds.ratio("encrypted", "plain")


if __name__ == "__main__":
    main(run)
