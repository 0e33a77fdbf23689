"""Every route of the contract, and the texts of its class."""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_camel

from gateway.contract.catalogue import Catalogue
from gateway.contract.media import file_fields
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage, Queued

INSTANCE_PATH = "/instances/{instanceId}/token/{instanceToken}"
_PACKAGE = "gateway.contract."
_TITLES: Mapping[str, str] = {"instance_queue": "Queue", "named": "By instance name"}
_PARAMETER = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_BODYLESS = frozenset({"GET", "DELETE"})
_NO_CONTENT = 204

Declared = type[OutgoingMessage] | type[Operation[Any]]

UNCONFIRMED = "Known from public clients of Z-API, not from its documents."


@dataclass(frozen=True, slots=True)
class Entry:
    """One method and path, its parameters spelled as on the wire; `main` is set on an alias."""

    declared: Declared
    method: str
    path: str
    main: str | None = None

    @property
    def subject(self) -> str:
        """The module or package that declares it, whether of Z-API or an extension."""
        return self.declared.__module__.removeprefix(_PACKAGE).split(".")[1]

    @property
    def is_send(self) -> bool:
        return issubclass(self.declared, OutgoingMessage)

    @property
    def enqueues(self) -> bool:
        """Whether it puts a message into the queue."""
        return self.is_send or (issubclass(self.declared, Operation) and self.declared.enqueues)

    @property
    def absolute(self) -> bool:
        return issubclass(self.declared, Operation) and self.declared.absolute

    @property
    def by_name(self) -> bool:
        """Whether its fields name the instance."""
        return issubclass(self.declared, Operation) and self.declared.by_name

    @property
    def partner(self) -> bool:
        return issubclass(self.declared, Operation) and self.declared.partner

    @property
    def status(self) -> int:
        return self.declared.answer_status if issubclass(self.declared, Operation) else 200

    @property
    def media_type(self) -> str:
        """Plain text for a text, JSON for everything else."""
        is_text = issubclass(self.declared, Operation) and self.declared.result_type() is str
        return "text/plain" if is_text else "application/json"

    @property
    def full_path(self) -> str:
        return self.path if self.absolute else INSTANCE_PATH + self.path

    @property
    def path_names(self) -> tuple[str, ...]:
        """The fields that the path carries."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def header_fields(self) -> dict[str, str]:
        """The fields that headers carry, each with its header."""
        return dict(self.declared.headers()) if issubclass(self.declared, Operation) else {}

    @property
    def header_names(self) -> dict[str, str]:
        """The same, spelled as on the wire."""
        return {to_camel(field): name for field, name in self.header_fields.items()}

    @property
    def bare_list(self) -> str | None:
        """The field that holds the whole body."""
        return self.declared.bare_list if issubclass(self.declared, Operation) else None

    def body_of(self, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an object, or a bare list
        """The part of *given* that the body carries."""
        if self.bare_list:
            return given.get(self.bare_list, [])
        elsewhere = {*self.path_names, *self.header_names}
        return {name: value for name, value in given.items() if name not in elsewhere}

    @property
    def has_query_fields(self) -> bool:
        if issubclass(self.declared, Operation) and self.declared.fields_in:
            return self.declared.fields_in == "query"
        return self.method in _BODYLESS

    @property
    def title(self) -> str:
        """The name of the class, for people."""
        return _WORD.sub(" ", self.declared.__name__).capitalize()

    @property
    def summary(self) -> str:
        return inspect.cleandoc(self.declared.__doc__ or "").partition("\n")[0]

    @property
    def description(self) -> str:
        """The rest of the docstring, what is unconfirmed, and the limits on a message and files."""
        text = inspect.cleandoc(self.declared.__doc__ or "").partition("\n")[2].strip()
        if not issubclass(self.declared, OutgoingMessage):
            return "\n\n".join(filter(None, (text, self._unconfirmed_note)))
        limits = _listed("WhatsApp's limits", limits_of(self.declared))
        files = _listed("Files", file_limits_of(self.declared))
        return "\n\n".join(filter(None, (text, self._unconfirmed_note, limits, files)))

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """What is unconfirmed of this address: its path, fields."""
        named = self.declared.unconfirmed
        return tuple(name for name in named if not name.startswith("/") or name == self.path)

    @property
    def _unconfirmed_note(self) -> str:
        names = ", ".join(f"`{name}`" for name in self.unconfirmed)
        return names and f"Unconfirmed: {names}. {UNCONFIRMED}"


def limits_of(send: type[OutgoingMessage]) -> list[tuple[str, str]]:
    """Returns WhatsApp's limits on a message: the field as callers spell it, what it must be."""
    return [(limit.wire_path, limit.requirement) for limit in send.limits]


def file_limits_of(send: type[OutgoingMessage]) -> list[tuple[str, str]]:
    """Returns the fields that name a file, and how large it may be."""
    return [(path, mark.requirement) for path, mark in file_fields(send)]


def _listed(title: str, limits: Sequence[tuple[str, str]]) -> str:
    shown = "\n".join(f"* `{path}` {requirement}" for path, requirement in limits)
    return f"{title}:\n\n{shown}" if shown else ""


def title_of(subject: str) -> str:
    """The title of a subject: a tag of the OpenAPI document, a folder of the collection."""
    return _TITLES.get(subject) or subject.replace("_", " ").capitalize()


def about_subject(subject: str) -> str:
    """The docstring of the module; of Z-API's module where an extension completes a subject."""
    packages = (f"{_PACKAGE}{part}.{subject}" for part in ("zapi", "extensions"))
    module = next(sys.modules[name] for name in packages if name in sys.modules)
    return inspect.cleandoc(module.__doc__ or "")


def surface(catalogue: Catalogue) -> list[Entry]:
    """Every address, in the order of paths and methods."""
    return sorted(_entries(catalogue), key=lambda entry: (entry.path, entry.method))


def _entries(catalogue: Catalogue) -> Iterator[Entry]:
    for send in catalogue.sends.values():
        path = spelled(str(send.path))
        yield Entry(send, "POST", path)
        for alias in send.also:
            yield Entry(send, "POST", spelled(alias), f"POST {path}")
    for address, operation in catalogue.operations.items():
        main = operation.address
        assert main is not None
        also = None if address == main else f"{main.method} {spelled(main.path)}"
        yield Entry(operation, address.method, spelled(address.path), also)


def spelled(path: str) -> str:
    """A path with its parameters as on the wire."""
    return _PARAMETER.sub(lambda found: "{" + to_camel(found[1]) + "}", path)


def shown_answer(declared: Declared) -> Any:  # noqa: ANN401 - any type may be a result
    """The answer that the documents show.

    An answer whose every field has a default shows itself.
    """
    if issubclass(declared, OutgoingMessage):
        return dict(Queued.example)
    if declared.answer_example is not None or declared.answer_status == _NO_CONTENT:
        return declared.answer_example
    result = declared.result_type()
    return result().model_dump(by_alias=True, mode="json")
