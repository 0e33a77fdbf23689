"""What keeps Kafka from working on this node, for /ready; needs no library of Kafka."""


class KafkaHealth:
    """The problem of each part that uses Kafka; a part that works has none."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}

    def failed(self, part: str, problem: str) -> None:
        self._problems[part] = problem

    def works(self, part: str) -> None:
        self._problems.pop(part, None)

    async def problem(self) -> str | None:
        """Returns the problems as one sentence; None if every part works."""
        return "; ".join(f"{part}: {text}" for part, text in sorted(self._problems.items())) or None
