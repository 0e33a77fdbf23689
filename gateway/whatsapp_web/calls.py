"""The calls that have begun and not ended."""

from dataclasses import dataclass

_MAX_OFFERED = 100


@dataclass(frozen=True, slots=True)
class OfferedCall:
    """A call that has begun: the address of its caller, and whether it has video."""

    caller: str
    is_video: bool


class Calls:
    """The calls that have begun and not ended: the event that ends one does not describe it."""

    def __init__(self) -> None:
        self._offered: dict[str, OfferedCall] = {}

    def offered(self, call_id: str, call: OfferedCall) -> None:
        while len(self._offered) >= _MAX_OFFERED:
            del self._offered[next(iter(self._offered))]
        self._offered[call_id] = call

    def ended(self, call_id: str) -> OfferedCall | None:
        return self._offered.pop(call_id, None)

    def caller(self, call_id: str) -> str | None:
        found = self._offered.get(call_id)
        return found.caller if found else None
