"""Files of received messages."""

from pathlib import Path

from gateway.contract.operation import Operation, Value


class ReadReceivedFile(Operation[Value]):
    """Downloads a file of a received message to a path.

    `reference` comes from the event of the session.
    """

    reference: bytes
    path: Path
