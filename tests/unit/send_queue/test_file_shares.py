"""How many files are fetched before their turn: an account leaves places to others."""

from dataclasses import dataclass
from typing import Any, cast

from gateway.account_turns import AccountTurns, Share
from gateway.clock import Clock
from gateway.send_queue.file_fetches import FileFetches


@dataclass(frozen=True, eq=False)
class FullQueue:
    """A queue with as many files ahead as one may have."""

    account_id: str

    def count_ahead(self) -> int:
        return 4


def holding(fetches: FileFetches, account_id: str) -> None:
    fetches.enter(cast("Any", FullQueue(account_id)))


async def test_account_fetches_fewer_files_ahead_while_another_has_work() -> None:
    turns, unused = AccountTurns(Share(4, 4)), cast("Any", None)
    fetches = FileFetches(unused, unused, Clock(), turns=turns)
    for _ in range(5):
        holding(fetches, "a")
    assert fetches.may_begin("a")

    async with turns.turn("b"):
        assert not fetches.may_begin("a")
        assert fetches.may_begin("b")


async def test_node_fetches_no_more_files_ahead_than_it_may() -> None:
    unused = cast("Any", None)
    fetches = FileFetches(unused, unused, Clock())
    for _ in range(16):
        holding(fetches, "a")

    assert not fetches.may_begin("a")
    assert not fetches.may_begin("b")
