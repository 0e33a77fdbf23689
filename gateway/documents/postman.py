"""Renders the declared contract as a Postman collection that runs from top to bottom."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from gateway.contract.catalogue import Catalogue
from gateway.documents.json_schemas import Schemas
from gateway.documents.postman_request import request_item
from gateway.documents.postman_scripts import BEFORE_EVERY_REQUEST, event, status_check
from gateway.documents.postman_setup import Precondition
from gateway.documents.postman_setups import setup_of
from gateway.documents.surface import Entry, about_subject, surface, title_of

_COLLECTION_ID = "6f1c2f0a-6a0e-4c55-9c8e-0a4d9a6b7c11"
_ENVIRONMENT_ID = "0b8f5f5e-8d0b-4b53-9f0c-3f1f4f6a2d22"
_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_ABOUT = """\
Z-API's HTTP contract, served by your own gateway.

Fill the environment from the file `demo.env` that a gateway in development writes into its data
directory, then run the whole collection or any folder of it. Requests lower down use what those
above have left in the collection's variables.
"""
_ADDRESS = "http://127.0.0.1:8080"
_VARIABLE = re.compile(r"\{\{(\w+)\}\}")
_ALWAYS_SET = frozenset({"messageId", "tomorrow", "zaapId"})
_TOKENS = ("instanceId", "instanceToken", "clientToken", "partnerToken")
_CLIENT_TOKEN_AUTH: Mapping[str, Any] = {
    "type": "apikey",
    "apikey": [
        {"key": "key", "value": "Client-Token", "type": "string"},
        {"key": "value", "value": "{{clientToken}}", "type": "string"},
        {"key": "in", "value": "header", "type": "string"},
    ],
}


def render_collection(catalogue: Catalogue) -> dict[str, Any]:
    """The collection, format v2.1; the same declarations always give the same collection."""
    entries = [entry for entry in surface(catalogue) if entry.main is None]
    schemas = Schemas({entry.declared: None for entry in entries})
    known = {(entry.method, entry.path): entry for entry in entries}
    subjects = {
        subject: sorted(found, key=_turn)
        for subject, found in groupby(sorted(entries, key=_subject), key=_subject)
    }
    folders = [
        {
            "name": title_of(subject),
            "description": about_subject(subject),
            "item": [item for entry in subjects[subject] for item in _items(entry, known, schemas)],
        }
        for subject in sorted(subjects, key=lambda name: _subject_turn(name, subjects[name]))
    ]
    names = (*_TOKENS, *_request_variables(folders, entries))
    return {
        "info": {
            "_postman_id": _COLLECTION_ID,
            "name": "WhatsApp gateway",
            "description": _ABOUT,
            "schema": _SCHEMA,
        },
        "auth": _CLIENT_TOKEN_AUTH,
        "event": [event("prerequest", BEFORE_EVERY_REQUEST)],
        "variable": [
            {"key": "baseUrl", "value": _ADDRESS},
            *({"key": name, "value": ""} for name in names),
        ],
        "item": [_service_folder(), *folders],
    }


def render_environment() -> dict[str, Any]:
    """The variables that name a gateway and an instance."""
    return {
        "id": _ENVIRONMENT_ID,
        "name": "WhatsApp gateway",
        "values": [
            {"key": "baseUrl", "value": _ADDRESS, "type": "default", "enabled": True},
            *({"key": name, "value": "", "type": "secret", "enabled": True} for name in _TOKENS),
        ],
        "_postman_variable_scope": "environment",
    }


def _subject(entry: Entry) -> str:
    return entry.subject


def _turn(entry: Entry) -> tuple[Any, ...]:
    return (setup_of(entry.declared).order, not entry.is_send, entry.path, entry.method)


def _subject_turn(subject: str, entries: list[Entry]) -> tuple[Any, ...]:
    """Subjects with messages come first, subjects with a late request last."""
    latest = max(setup_of(entry.declared).order for entry in entries)
    return (not any(entry.is_send for entry in entries), latest, title_of(subject))


def _items(
    entry: Entry, known: Mapping[tuple[str, str], Entry], schemas: Schemas
) -> Iterator[dict[str, Any]]:
    setup = setup_of(entry.declared)
    for precondition in setup.first:
        required = known[precondition.method, precondition.path]
        yield _precondition_item(entry, precondition, required, schemas)
    yield request_item(entry, schemas, given={**entry.declared.example, **setup.values})


def _precondition_item(
    entry: Entry, precondition: Precondition, required: Entry, schemas: Schemas
) -> dict[str, Any]:
    minimal = required.declared.example_minimal or required.declared.example
    title = f"{required.title} (for: {entry.title})"
    values = {**minimal, **setup_of(required.declared).values, **precondition.values}
    return request_item(required, schemas, title=title, given=values)


def _request_variables(items: list[dict[str, Any]], entries: list[Entry]) -> list[str]:
    """The variables that requests save or use; the user need not fill them in."""
    saved = {name for entry in entries for name in setup_of(entry.declared).saves}
    used = set(_VARIABLE.findall(json.dumps(items)))
    return sorted((saved | used | _ALWAYS_SET) - {"baseUrl", *_TOKENS})


def _service_folder() -> dict[str, Any]:
    return {
        "name": "Service",
        "description": "The gateway itself.",
        "item": [
            {
                "name": path.capitalize(),
                "request": {
                    "method": "GET",
                    "auth": {"type": "noauth"},
                    "header": [],
                    "url": {
                        "raw": f"{{{{baseUrl}}}}/{path}",
                        "host": ["{{baseUrl}}"],
                        "path": [path],
                    },
                },
                "response": [],
                "event": [event("test", status_check(200))],
            }
            for path in ("health", "ready")
        ],
    }
