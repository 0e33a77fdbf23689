"""Answers that open tabs share, so that parts which refresh themselves cost little."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.clock import Clock

_TIMES_AS_LONG: Final = 20
_MAX_SECONDS: Final = 10.0
_MAX_ANSWERS: Final = 1_000


@dataclass(slots=True)
class _Recent:
    answer: Any = None
    good_until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class RecentAnswers:
    """Returns an answer again for twenty times as long as it took, at most ten seconds.

    What is quick is so always new, and what is slow takes a twentieth of a connection at most,
    however many tabs are open.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: dict[str, _Recent] = {}

    async def get(self, key: str, read: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what *read* returns
        """Returns what *read* returned lately for the same key, else what it returns now.

        The key names everything on which the answer depends, such as the rights of the caller.
        """
        recent = self._recent.setdefault(key, _Recent())
        async with recent.turn:
            began = self._clock.monotonic_seconds()
            if began < recent.good_until:
                return recent.answer
            recent.answer = await read()
            ended = self._clock.monotonic_seconds()
            recent.good_until = ended + min(_MAX_SECONDS, _TIMES_AS_LONG * (ended - began))
        self._drop_old(key)
        return recent.answer

    def _drop_old(self, but: str) -> None:
        """Drops answers that are too old, once there are many."""
        if len(self._recent) <= _MAX_ANSWERS:
            return
        now = self._clock.monotonic_seconds()
        for key in [k for k, recent in self._recent.items() if recent.good_until < now]:
            if key != but and not self._recent[key].turn.locked():
                del self._recent[key]
