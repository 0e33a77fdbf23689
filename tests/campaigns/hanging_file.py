"""`python -m tests.campaigns.hanging_file` sends texts behind images whose server never answers.

It prints the seconds from the acceptance of a text to another person to its sending, with the
default pace, timeouts and attempts: in the order `chat`, behind one image and behind images to five
persons, and in the order `strict`, behind one image.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.fixtures import media
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Client, client_of, running_gateway

_MAX_SECONDS = 180.0
_LOOK_SECONDS = 0.02
_DEFAULTS = {
    "GATEWAY_PACE_MIN_SECONDS": "1",
    "GATEWAY_PACE_MAX_SECONDS": "3",
    "GATEWAY_RETRY_BASE_SECONDS": "5",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement: the order, to how many persons images go first, how often."""

    order: str
    persons: int
    rounds: int


CASES = (Case("chat", 1, 6), Case("chat", 5, 3), Case("strict", 1, 1))


async def delay_of_text(client: Client, image_of: Callable[[str], str], persons: int) -> float:
    """Sends images that never come, then a text to another person; returns its delay."""
    before = len(await client.sent())
    for n in range(persons):
        phone = f"551199999000{n}"
        await client.call("POST", "/send-image", json={"phone": phone, "image": image_of(phone)})
    accepted = time.monotonic()
    await client.send_text("to another person", phone="5511999999999")
    while len(await client.sent()) == before:
        if time.monotonic() - accepted > _MAX_SECONDS:
            return float("inf")
        await asyncio.sleep(_LOOK_SECONDS)
    delay = time.monotonic() - accepted
    await client.call("DELETE", "/queue")
    return delay


async def measure(case: Case) -> list[float]:
    with public_folder() as folder, public_folder() as data_dir:
        postgres = EmbeddedPostgres(folder / "pg")
        await postgres.start()
        try:
            await migrate(postgres.url)
            settings = {**_DEFAULTS, "GATEWAY_QUEUE_ORDER": case.order}
            async with media.file_server() as server:
                with running_gateway(data_dir, postgres.url, **settings) as gateway:
                    await gateway.ready()
                    async with client_of(gateway) as client:
                        return [
                            await delay_of_text(
                                client,
                                lambda phone: server.put(f"/{phone}", media.silence),
                                case.persons,
                            )
                            for _ in range(case.rounds)
                        ]
        finally:
            await postgres.stop()


async def main() -> None:
    for case in CASES:
        delays = " ".join(f"{delay:.1f}" for delay in await measure(case))
        sys.stdout.write(f"{case.order:6} images to {case.persons}: {delays} s\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
