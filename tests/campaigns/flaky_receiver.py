"""What failing receivers get with the default schedule: `python -m tests.campaigns.flaky_receiver`.

Prints for each receiver how many of the callbacks were delivered, whether in order, after how many
seconds, and how many posts it took. Takes about ten minutes.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from psycopg import AsyncConnection

from gateway.database.migrations import migrate
from gateway.observability.logging import configure_logging
from gateway.webhooks.backoff import RetrySchedule
from tests.fixtures.delivery import add_instances_with_webhooks, enqueue, running_delivery
from tests.fixtures.postgres import public_folder, running_postgres
from tests.fixtures.webhook_catcher import WebhookCatcher

SEED = 16


@dataclass(frozen=True)
class Trial:
    """A receiver by its answers, and what is enqueued for it."""

    name: str
    answer: Callable[[int], int]
    max_seconds: float
    chats: int = 1
    per_chat: int = 100

    @property
    def count(self) -> int:
        return self.chats * self.per_chat


@dataclass(frozen=True)
class Found:
    """What a receiver got."""

    delivered: int
    in_order: bool
    seconds: float
    posts: int


def randomly_failing(seed: int) -> Callable[[int], int]:
    """Returns answers of which a third, at random, are 500."""
    chance = random.Random(seed)
    return lambda _number: 500 if chance.random() < 1 / 3 else 200


TRIALS = (
    Trial("every third", lambda number: 500 if number % 3 == 2 else 200, 300.0),
    Trial("random third", randomly_failing(SEED), 300.0),
    Trial("down, 1 chat", lambda _number: 502, 120.0),
    Trial("down, 1000 chats", lambda _number: 502, 120.0, chats=1_000, per_chat=1),
)


async def attempt(url: str, trial: Trial, schedule: RetrySchedule) -> Found:
    """Enqueues the callbacks of a trial and waits until all are delivered or its time is over."""
    async with WebhookCatcher(answer=trial.answer).serving() as catcher:
        async with await AsyncConnection.connect(url, autocommit=True) as operator:
            await operator.execute(
                "truncate instances, accounts, webhook_lines, webhook_outbox cascade"
            )
            (instance,) = await add_instances_with_webhooks(operator, 1, catcher.url)
            for chat in range(trial.chats):
                numbers = range(trial.per_chat)
                await enqueue(operator, instance, numbers, chat=f"55119{chat:08}")
        began = time.monotonic()
        patience = trial.max_seconds + 60.0
        async with running_delivery(url, schedule=schedule, patience_seconds=patience):
            with suppress(TimeoutError):
                await catcher.wait_for(
                    lambda c: len(c.delivered) >= trial.count, seconds=trial.max_seconds
                )
            seconds = time.monotonic() - began
        return Found(len(catcher.delivered), _in_order(catcher), seconds, len(catcher.posted))


def _in_order(catcher: WebhookCatcher) -> bool:
    chats = defaultdict[str, list[int]](list)
    for posted in catcher.delivered:
        chats[posted.body["chat"]].append(posted.body["n"])
    return all(numbers == list(range(len(numbers))) for numbers in chats.values())


async def attempt_all(url: str) -> None:
    """Prints what the receiver of each trial got."""
    await migrate(url)
    for trial in TRIALS:
        found = await attempt(url, trial, RetrySchedule(random.Random(SEED).uniform))
        print(
            f"{trial.name:18} {found.delivered:4} of {trial.count} delivered, "
            f"in order: {'yes' if found.in_order else 'NO'}, {found.seconds:.1f} s, "
            f"{found.posts} posts",
            flush=True,
        )


def main() -> None:
    configure_logging(level="ERROR", pretty=False)
    with public_folder() as folder, running_postgres(folder / "pg") as url:
        asyncio.run(attempt_all(url))


if __name__ == "__main__":
    main()
