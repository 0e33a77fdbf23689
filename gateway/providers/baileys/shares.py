"""How many sessions share a process: fewer after a crash, until the one that causes it is alone."""

from gateway.clock import Clock

_REMEMBERED_SECONDS = 3_600.0
_MAX_FURTHER_PROCESSES = 8


class ProcessShares:
    """Halves the share of each session whose process crashes, for an hour.

    Which of them a process crashed for is unknown: what one person sends to one number may take
    all of its memory. After six crashes at most the session of that number is alone, and the
    others go on. If every process crashes, for a reason of its own, that costs a few processes at
    most.
    """

    def __init__(self, max_sessions: int, clock: Clock) -> None:
        """Begins with *max_sessions* in each process."""
        self.max_sessions, self._clock = max_sessions, clock
        self._crashes: dict[str, tuple[int, float]] = {}

    def of(self, instance_id: str) -> int:
        """Returns with how many sessions, itself included, an instance may share a process."""
        return max(1, self.max_sessions >> self._crashes_of(instance_id))

    def note_crash(self, instance_id: str) -> None:
        """Notes that a process with a session of the instance crashed, or hung."""
        now = self._clock.monotonic_seconds()
        self._crashes = {
            each: (count, at)
            for each, (count, at) in self._crashes.items()
            if now - at < _REMEMBERED_SECONDS
        }
        self._crashes[instance_id] = (self._crashes_of(instance_id) + 1, now)

    def is_crowded(self, processes: int, sessions: int) -> bool:
        """Returns whether no further process may begin while another one can take a session."""
        needed = -(-sessions // self.max_sessions)
        return processes >= needed + _MAX_FURTHER_PROCESSES

    def _crashes_of(self, instance_id: str) -> int:
        count, at = self._crashes.get(instance_id, (0, 0.0))
        is_recent = self._clock.monotonic_seconds() - at < _REMEMBERED_SECONDS
        return count if is_recent else 0
