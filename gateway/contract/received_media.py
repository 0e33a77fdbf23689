"""Files that came in."""

from pathlib import Path

from gateway.contract.operation import Operation, Value


class ReadReceivedFile(Operation[Value]):
    """Writes a file of a received message to a path; asked by us, not by callers.

    `reference` is the session's own, from the event; a file beyond `most_bytes` is refused.
    """

    reference: bytes
    path: Path
    most_bytes: int
