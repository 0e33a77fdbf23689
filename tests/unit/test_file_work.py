"""Work on files leaves most of the event loop's time to others."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway.file_work import FileWork


class Rests:
    """Stands in for `asyncio.sleep`: notes each rest and passes it at once."""

    def __init__(self) -> None:
        self.seconds = list[float]()

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> Rests:
    made = Rests()
    monkeypatch.setattr(asyncio, "sleep", made.sleep)
    return made


def clock(*, piece_seconds: float) -> Iterator[float]:
    """Yields the times at which pieces begin and end; nothing passes between them."""
    now = 0.0
    while True:
        yield now
        now += piece_seconds
        yield now


@pytest.mark.parametrize(
    ("piece_seconds", "is_shared", "rest_seconds"),
    [
        (0.002, True, [0.01] * 4),
        (0.000_125, True, [0, 0.001_25, 0, 0.001_25]),  # too short for a timer
        (3.0, True, [0.05] * 4),  # the machine stood still
        (0.002, False, [0] * 4),
    ],
)
async def test_work_rests_in_proportion(
    rests: Rests, *, piece_seconds: float, is_shared: bool, rest_seconds: list[float]
) -> None:
    times = clock(piece_seconds=piece_seconds)
    work = FileWork(is_shared=lambda: is_shared, monotonic_seconds=lambda: next(times))

    assert [await work.do(lambda: "done") for _ in range(4)] == ["done"] * 4
    assert rests.seconds == pytest.approx(rest_seconds)


async def test_a_piece_that_fails_rests_too(rests: Rests) -> None:
    times = clock(piece_seconds=0.002)
    work = FileWork(monotonic_seconds=lambda: next(times))

    with pytest.raises(ZeroDivisionError):
        await work.do(lambda: 1 // 0)
    assert rests.seconds == pytest.approx([0.01])
