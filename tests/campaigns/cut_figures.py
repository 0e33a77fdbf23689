"""What a campaign of cuts counts, and which statements it left out."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from typer import echo

from tests.campaigns.statements import NOT_DRIVEN, sent_forms


@dataclass(frozen=True, order=True)
class Target:
    """A statement, by its file and name, or the commit of its transaction."""

    name: str
    at_commit: bool = False

    def __str__(self) -> str:
        return f"commit of {self.name}" if self.at_commit else self.name


@dataclass
class Figures:
    """What a campaign counted."""

    targets: set[Target] = field(default_factory=set)
    cuts: int = 0
    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    """Accepted messages that did not arrive, and callbacks of messages that did."""
    standing: list[str] = field(default_factory=list)
    """Cuts after which a line needed more than the limit."""
    out_of_order: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    """Messages that arrived twice, each with an attempt that is stored as unconfirmed."""
    untold: list[str] = field(default_factory=list)
    """Messages that arrived twice without such an attempt."""
    repeated_callbacks: int = 0
    errors: list[str] = field(default_factory=list)
    not_cut: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    seen: AbstractSet[str] = frozenset()
    """The statements that the scenes run, and those that were cut after the loss of another one."""

    def add(self, other: "Figures") -> None:
        """Adds what another gateway of the same campaign counted."""
        self.targets |= other.targets
        self.cuts += other.cuts
        self.accepted += other.accepted
        self.lost += other.lost
        self.standing += other.standing
        self.out_of_order += other.out_of_order
        self.repeated += other.repeated
        self.untold += other.untold
        self.repeated_callbacks += other.repeated_callbacks
        self.errors += other.errors
        self.not_cut += other.not_cut
        self.slowest_seconds = max(self.slowest_seconds, other.slowest_seconds)
        self.seen |= other.seen

    @property
    def broken(self) -> list[str]:
        return [
            *(f"lost: {each}" for each in self.lost),
            *(f"standing: {each}" for each in self.standing),
            *(f"out of order: {each}" for each in self.out_of_order),
            *(f"sent twice and not reported: {each}" for each in self.untold),
            *(f"error: {each}" for each in self.errors),
            *(f"not cut: {each}" for each in self.not_cut),
        ]

    def show(self) -> None:
        commits = sum(target.at_commit for target in self.targets)
        echo(f"statements {len(self.targets) - commits}, commits {commits}, cuts {self.cuts}")
        echo(f"accepted {self.accepted}, lost {len(self.lost)}, standing {len(self.standing)}")
        echo(f"out of order {len(self.out_of_order)}, slowest {self.slowest_seconds:.1f} s")
        echo(f"repeated and reported {len(self.repeated)}: {' '.join(self.repeated)}")
        echo(f"repeated and not reported {len(self.untold)}")
        echo(f"callbacks posted again under the same id {self.repeated_callbacks}")
        for line in self.broken:
            echo(f"BROKEN {line}")


def missing(seen: AbstractSet[str]) -> list[str]:
    """Returns the statements that were neither run nor excused, and those excused for nothing."""
    named = set(sent_forms().values())
    return [
        *(
            f"{name} was not run, and has no reason"
            for name in sorted(named - seen - NOT_DRIVEN.keys())
        ),
        *(f"{name} was run: its reason is wrong" for name in sorted(seen & NOT_DRIVEN.keys())),
    ]
