"""Settings by which an account or an instance differs from the service: its feature flags."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

_RATE: Final = "messages_per_minute"


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """What the operator's settings, an account or an instance say; the last that speaks counts.

    Attributes:
        number_lookup: whether an unknown number is looked up before a send.
        messages_per_minute: attempts of an instance in any minute; 0 means no limit.
        client_token_manages: whether the Client-Token works on routes of the account; no instance
            sets it.
    """

    number_lookup: bool = True
    messages_per_minute: int = 0
    client_token_manages: bool = True

    def with_own(self, own: Mapping[str, Any]) -> Self:
        """Returns these settings with those of an account or instance in their place.

        A limit can only be made lower so. Keys of a newer version are ignored.
        """
        if not own:  # as for nearly every message
            return self
        known = {field.name for field in fields(self)}
        mine = {name: value for name, value in own.items() if name in known}
        limits = [each for each in (self.messages_per_minute, mine.pop(_RATE, 0)) if each]
        return replace(self, **mine, messages_per_minute=min(limits, default=0))
