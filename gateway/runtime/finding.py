"""One result of `gateway doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked and its state, with a cure where something is wrong.

    *is_warning* says that the gateway runs all the same.
    """

    subject: str
    sentence: str
    cure: str | None = None
    is_warning: bool = False

    def __str__(self) -> str:
        mark = "ok" if self.cure is None else "!!"
        cure = "" if self.cure is None else f" Cure: {self.cure}."
        return f"{mark} {self.subject}: {self.sentence}.{cure}"
