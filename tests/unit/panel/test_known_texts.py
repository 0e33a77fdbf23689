"""Every error that an action of a page may answer is said in each language.

The texts are read from where they are raised, so that one that is new or changed is either
translated, or listed here as one that no page leads to.
"""

import ast
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

import gateway
import gateway.panel.pages
from gateway import errors
from gateway.contract.building import build
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.documents.json_schemas import Schemas
from gateway.errors import CallerError, InvalidRequest
from gateway.panel.gateway_answers import known_text
from gateway.panel.languages import LANGUAGES
from gateway.users.store import Language

_ROOT: Final = Path(gateway.__file__).parent
_PACKAGES: Final = (
    *("administration", "directory", "history", "identities", "instances", "media", "operations"),
    *("panel", "providers/baileys", "providers/whatsmeow", "send_queue", "sessions", "users"),
    *("webhooks", "whatsapp_web"),
)
"""What runs when a page calls an operation."""
_FILES: Final = ("errors.py", "public_address.py", "database/cursors.py")
_SAMPLES: Final = ("7", "sent", "is not a URL", "is larger than 3 MiB", "WhatsApp is busy.")
"""What may stand in the place of a value."""
_WRONG: Final = ("", "?!", "x" * 5_000, "7" * 30, -1, 10**9, 1.5, "2001-01-01", ["?"], ["x"] * 100)
"""What a person can put into a field of a form, and a form into a request."""
_NOT_FOR_PAGES: Final = frozenset(
    {
        "The message names no file of WhatsApp",
        "The file is larger than the gateway stores",
        (
            "A node of an earlier release runs, which knows one connection of each instance: add "
            "this one when every node has the new release"
        ),
        (
            "The instance has a connection of the provider {} already, with the id {}: delete that "
            "one, or name another provider"
        ),
        "The instance has no connection with this id",
        (
            "This connection is active: an instance always has one. Delete the instance instead, "
            "or log its phone out"
        ),
        "missingReceipts: must not be more than ofMessages: give both",
        # The sign-in page, or the page of its own that such an error has
        "Method not allowed",
        "NOT_FOUND",
        "Unauthorized",
        "null not allowed",
        # The command line
        "{} is not empty: name a new folder",
        "{} is neither an address nor a network such as 203.0.113.0/24",
        "Another process runs as node {}: give each its own GATEWAY_NODE_NAME",
        "A new instance was made in this account: delete the account again",
        "More than one account fits: name it by its id",
        "More than one instance is named {}: give its id",
        "There is no account yet: make one with `gateway accounts create NAME`",
        "There is no account {}: see `gateway accounts list`",
        "There is no instance {}: see `gateway instances list`",
        # Imports
        "{}: must have an id and a token",
        "{}: holds a NUL character",
        "Another account has this token already: give another one",
        "Instance {} exists already, with another token or account",
        "Instance {} exists already: give another id",
        "The file holds no list of instances: save the answer of GET /instances",
        "The file is not JSON: save the answer of GET /instances",
        "id: must be 1 to 64 of A-Z, a-z, 0-9, dot, dash and underscore",
        "token: must not begin with {}, as API keys do",
        # Credentials of programs
        "A Client-Token makes at most {} instances: use the partner token",
        (
            "A Client-Token manages no API keys: use the partner token, or an API key with the "
            "scope manage"
        ),
        "This API key is limited to instances: it cannot act on the account",
        "expiresAt: must not be after that of the API key that makes it",
        "networks: must be within those of the API key that makes it",
        "scopes: an API key gives no scope that it lacks",
        # Routes that no page calls
        "{}: several instances have this name: {}{}; give one of these ids instead",
        "GATEWAY_PANEL is off, and with it the page of the link",
        "The instance has no subscription: subscribe it before you add calls",
        "The instance has {} broadcast lists, and cannot have more",
        "This tag does not exist: see GET /tags",
        "categories: {} must be the id of a category, in digits",
        "collection {} is not in the catalogue",
        "phone: {} is not on WhatsApp",
        "product {} is not in the catalogue",
        "clientTokenManages: is for the account: leave out instanceId",
        "phone: the broadcast list has no members",
        # Fields that no form has
        "{}: the message would expire before it is due; expire it after scheduledFor",
        "{}: must be at most {} days ahead",
        "{}: is not an id of this stream",
        "{} holds more than {} values: send it in parts",
        "expiresIn: must not be given together with expiresAt",
        "owner: must be {} for this message",
        "participantPhone: is required, because this message of a group is not known here",
        "step: makes {} points of this time; at most {} are answered",
        "timeZone: must be a name such as America/Sao_Paulo",
        # Requests that no page of the panel makes
        "The picture {}",
        "This link has expired",
        "This link is not valid",
        "language: must be pt-BR, en or es",
        "topics: an unknown kind",
        "topics: at most {}",
        "webhook: there is none with this id",
    }
)
_NAMED_ONLY: Final = frozenset({"instance_about"})
"""Pages that show what a provider can do by its operations, and call none of these."""
_SET_BY_PAGES: Final = frozenset({"step: must be a multiple of 300 seconds, at most 366 days"})
"""Of fields that a page fills in by itself."""
TRANSLATED: Final = [each for each in LANGUAGES if each != "en"]


def raised_texts() -> Iterator[str]:
    """Yields the text of each error for callers; `{}` stands for a value."""
    kinds = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, CallerError) and "__init__" not in vars(each)
    }
    files = [_ROOT / name for name in _FILES]
    for package in _PACKAGES:
        files += sorted((_ROOT / package).rglob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            is_own = file.name == "errors.py" and ast.unparse(node.func) == "super().__init__"
            if is_own or getattr(node.func, "id", "") in kinds:
                yield from _texts_of(node.args[0])


def _texts_of(node: ast.expr) -> Iterator[str]:
    """Yields a text; none for a value from elsewhere, or one that the page has translated."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)  # type: ignore[misc]
    elif isinstance(node, ast.IfExp):
        yield from _texts_of(node.body)
        yield from _texts_of(node.orelse)


def operations_of_pages() -> Mapping[str, type[Operation[Any] | OutgoingMessage]]:
    """Returns what the modules of pages call, by name."""
    names = [
        f"gateway.panel.pages.{m.name}"
        for m in pkgutil.iter_modules(gateway.panel.pages.__path__)
        if m.name not in _NAMED_ONLY
    ]
    found = {}
    for name in (*names, "gateway.panel.sending"):
        for each in vars(importlib.import_module(name)).values():
            if isinstance(each, type) and issubclass(each, Operation | OutgoingMessage):
                found[each.__name__] = each
    return {
        name: each
        for name, each in sorted(found.items())
        if each not in (Operation, OutgoingMessage)
    }


OPERATIONS: Final = operations_of_pages()


@pytest.mark.parametrize("language", TRANSLATED)
def test_each_error_that_is_raised_is_known(language: Language) -> None:
    unknown = {
        text
        for text in raised_texts()
        if not any(known_text(language, text.replace("{}", each)) for each in _SAMPLES)
    }

    assert unknown - {"{}", "{}{}"} == _NOT_FOR_PAGES


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_requirement_of_a_field_is_known(name: str) -> None:
    unknown = {
        text
        for text in requirements(OPERATIONS[name]) - _SET_BY_PAGES
        if any(known_text(language, text) is None for language in TRANSLATED)
    }

    assert unknown == set()


def requirements(operation: type[Operation[Any] | OutgoingMessage]) -> set[str]:
    """Returns what is said of fields that are missing or wrong."""
    fields: Mapping[str, Any] = Schemas({operation: None}).fields(operation).get("properties", {})
    example = dict(getattr(operation, "example", None) or {})
    found = set()
    for body in ({}, *({**example, field: value} for field in fields for value in _WRONG)):
        try:
            build(operation, body)
        except InvalidRequest as error:
            found.add(str(error))
    return found
