"""Files that came in."""

from pathlib import Path

from gateway.contract.operation import Operation, Value


class ReadReceivedFile(Operation[Value]):
    """Downloads a file of a received message to a path; asked by us, not by callers.

    `reference` is the session's own, from the event.
    """

    reference: bytes
    path: Path
