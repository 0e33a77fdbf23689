"""Requests whose fields describe a message side by side, as flat records of Kafka do."""

from dataclasses import dataclass
from typing import Any

from gateway.contract.building import build
from gateway.contract.extensions.named.sends import FlatSend
from gateway.contract.flat import flat_message
from gateway.contract.send import OutgoingMessage
from gateway.parsing.json_bounds import parse_json
from gateway.parsing.tasks import ParsingTask


@dataclass(frozen=True, slots=True)
class FlatRequest:
    """A request, and the message that its fields describe."""

    operation: FlatSend[Any]
    message: OutgoingMessage


@dataclass(frozen=True, slots=True)
class ReadFlatSend(ParsingTask[FlatRequest]):
    """Reads the body of a request, and builds its message."""

    command: type[FlatSend[Any]]

    def run(self) -> FlatRequest:
        operation = build(self.command, parse_json(self.raw))
        return FlatRequest(operation, flat_message(operation.flat_fields()))
