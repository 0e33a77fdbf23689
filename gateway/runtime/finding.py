"""One thing that `gateway doctor` looked at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and how it is; with a cure where something is wrong.

    With *is_warning* the gateway runs although something is wrong.
    """

    subject: str
    sentence: str
    cure: str | None = None
    is_warning: bool = False

    def __str__(self) -> str:
        mark = "ok" if self.cure is None else "!!"
        cure = "" if self.cure is None else f" Cure: {self.cure}."
        return f"{mark} {self.subject}: {self.sentence}.{cure}"
