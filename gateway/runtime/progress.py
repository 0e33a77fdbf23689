"""Reports the steps of a start: lines of text for a person, log events for a program."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.database.functions import SqlFunction
from gateway.database.migrations import Migration
from gateway.embedded_postgres.server import EmbeddedStep
from gateway.observability.logging import logger

_EMBEDDED_SENTENCES = {
    EmbeddedStep.SETTING_UP: "Setting up Postgres for the first time (up to a minute) ...",
    EmbeddedStep.STARTING: "Starting Postgres on the data in {place} (seconds; after a crash up "
    "to a minute) ...",
    EmbeddedStep.ADOPTED: "Using the Postgres that already runs on the data in {place}",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """Reports steps with *print_line*, or to the log where it is None."""

    print_line: Callable[[str], None] | None = None

    def embedded_postgres(self, step: EmbeddedStep, place: Path) -> None:
        sentence = _EMBEDDED_SENTENCES[step].format(place=place)
        self._report(f"embedded_postgres_{step}", sentence, place=str(place))

    def migrations_started(self, missing: list[Migration]) -> None:
        self._report(
            "migrations_started",
            f"Bringing the database up to date, {len(missing)} migrations (seconds; with millions "
            "of messages minutes) ...",
            count=len(missing),
        )

    def migrations_applied(self, applied: list[Migration | SqlFunction]) -> None:
        if self.print_line is None:
            for each in applied:
                if isinstance(each, Migration):
                    logger.info("migrated", number=each.number, name=each.name)
                else:
                    logger.info("sql_function_created", name=each.name)
        elif applied:
            self.print_line("The database is up to date")

    def database_awaited(self, reason: str) -> None:
        if self.print_line is None:
            logger.warning("waiting_for_database", error=reason)
        else:
            self.print_line(f"{reason}. Trying again every second ...")

    def database_answered(self) -> None:
        self._report("database_answered", "Postgres answers")

    def _report(self, event: str, sentence: str, **fields: object) -> None:
        if self.print_line is None:
            logger.info(event, **fields)
        else:
            self.print_line(sentence)
