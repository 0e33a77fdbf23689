"""What is parsed; each task runs in either process, so it and its result can be pickled."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from gateway.contract.building import build
from gateway.contract.operation import Operation
from gateway.contract.wire import Wire
from gateway.errors import InvalidRequest, Unavailable
from gateway.parsing.json_bounds import may_parse_directly, parse_json

_MAX_FILE_BYTES = 16_777_216  # as the images of messages

Result_co = TypeVar("Result_co", covariant=True)
Command = TypeVar("Command", bound=Wire)


@dataclass(frozen=True, slots=True)
class ParsingTask(Generic[Result_co]):
    """One parse, and the validation of what it yields."""

    raw: bytes

    @property
    def is_small(self) -> bool:
        """Returns whether the event loop may run it."""
        return may_parse_directly(self.raw)

    def run(self) -> Result_co:
        """Returns what the text says.

        Raises:
            CallerError: it says nothing that can be used.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class BuildCommand(ParsingTask[Command], Generic[Command]):
    """Builds a command from the body of a request.

    `files` are the spooled files by their placeholders, for operations that take them as base64; a
    text instead of a path says why the file cannot be read.
    """

    command: type[Command]
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    bare_list: str | None = None
    files: Mapping[str, Path | str] = field(default_factory=dict)

    @property
    def is_small(self) -> bool:
        return not self.files and may_parse_directly(self.raw)

    def run(self) -> Command:
        body = parse_json(self.raw)
        if self.files:
            body = with_files_restored(body, self.files)
        if self.bare_list and isinstance(body, list):
            body = {self.bare_list: body}
        return build(self.command, body, path=self.path, query=self.query)


def with_files_restored(body: Any, files: Mapping[str, Path | str]) -> Any:  # noqa: ANN401 - any JSON value
    """Returns a body with its files as base64 again.

    Raises:
        InvalidRequest: a string is too long to be a text and is not base64, or a file is too large.
    """
    if not isinstance(body, dict):
        return body
    return {
        name: _as_base64(name, files[value]) if isinstance(value, str) and value in files else value
        for name, value in body.items()
    }


def _as_base64(name: str, file: Path | str) -> str:
    if isinstance(file, str):
        raise InvalidRequest(f"{name}: {file}")
    if file.stat().st_size > _MAX_FILE_BYTES:
        raise InvalidRequest(f"{name}: must be a file of at most {_MAX_FILE_BYTES} bytes")
    return base64.b64encode(file.read_bytes()).decode()


@dataclass(frozen=True, slots=True)
class ReadOperation(ParsingTask[Operation[Any]]):
    """Reads the operation that another node passes on; that node has validated it."""

    command: type[Operation[Any]]

    def run(self) -> Operation[Any]:
        try:
            return self.command.model_validate_json(self.raw)
        except ValidationError:
            raise Unavailable(
                "The node that has the session runs a version that cannot read this operation"
            ) from None
