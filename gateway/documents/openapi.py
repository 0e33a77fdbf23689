"""Renders the declared contract as an OpenAPI 3.1 document."""

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from gateway import __version__
from gateway.contract.callbacks import Callback
from gateway.contract.catalogue import Catalogue
from gateway.documents.error_answers import ERROR_SCHEMA, error_responses
from gateway.documents.json_schemas import COMPONENTS, Schemas
from gateway.documents.openapi_operation import operation_object
from gateway.documents.service_routes import SERVICE_PATHS, SERVICE_TAG
from gateway.documents.surface import Entry, about_subject, surface, title_of

_ABOUT = """\
Z-API's HTTP contract, served by your own gateway.

* A message is queued and answered at once with `zaapId` (its place in the queue) and `messageId`
  (its id in WhatsApp, the same in every later callback). Its outcome comes as a callback.
* `phone` names any chat: a number with country and area code, with or without mask, or a group
  (`...-group`), channel (`...@newsletter`) or private id (`...@lid`).
* `null` is the same as leaving a field out; unknown fields are ignored; numbers may be written as
  text.
* Every error is JSON with `error` and `message`, which say the same.
"""
_INSTANCE_PARAMETERS = ("InstanceId", "InstanceToken")


def render_openapi(catalogue: Catalogue) -> dict[str, Any]:
    """The document; the same declarations always give the same document."""
    entries = surface(catalogue)
    callbacks = _callbacks_by_type()
    schemas = Schemas(
        {entry.declared: None for entry in entries},
        [c for kind in callbacks.values() for c in kind],
    )
    paths = _paths(entries, schemas)
    webhooks = {name: _webhook(name, kinds, schemas) for name, kinds in callbacks.items()}
    used = _used_components([paths, webhooks], schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "WhatsApp gateway",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8080", "description": "What `make run` starts"}],
        "security": [{"ClientToken": []}, {}],
        "tags": _tags(entries),
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "securitySchemes": _security_schemes(),
            "parameters": _shared_parameters(),
            "responses": error_responses(),
            "schemas": dict(sorted({**used, "Error": dict(ERROR_SCHEMA)}.items())),
        },
    }


def _paths(entries: list[Entry], schemas: Schemas) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for entry in sorted(entries, key=lambda entry: (entry.full_path, entry.method)):
        item = paths.setdefault(entry.full_path, {})
        if not entry.absolute:
            item.setdefault(
                "parameters",
                [{"$ref": f"#/components/parameters/{name}"} for name in _INSTANCE_PARAMETERS],
            )
        item[entry.method.lower()] = operation_object(entry, schemas)
    return {**paths, **SERVICE_PATHS}


def _tags(entries: list[Entry]) -> list[Mapping[str, Any]]:
    """Subjects with the most messages come first."""
    sends = Counter(entry.subject for entry in entries if entry.is_send)
    subjects = sorted(
        {entry.subject for entry in entries},
        key=lambda subject: (-sends[subject], title_of(subject)),
    )
    named = ({"name": title_of(name), "description": about_subject(name)} for name in subjects)
    return [*named, SERVICE_TAG]


def _callbacks_by_type(family: type[Callback] = Callback) -> dict[str, list[type[Callback]]]:
    """Callbacks of one type may come in several classes; only the last of a family count."""
    found: dict[str, list[type[Callback]]] = {}
    for callback in sorted(_leaves(family), key=lambda kind: kind.__name__):
        field = callback.model_fields.get("type")
        for name in get_args(field.annotation) if field else ():
            found.setdefault(name, []).append(callback)
    return dict(sorted(found.items()))


def _leaves(family: type[Callback]) -> Iterator[type[Callback]]:
    for callback in family.__subclasses__():
        if not callback.__subclasses__():
            yield callback
        yield from _leaves(callback)


def _webhook(name: str, kinds: list[type[Callback]], schemas: Schemas) -> dict[str, Any]:
    references = [schemas.reference(kind) for kind in kinds]
    content: dict[str, Any] = {
        "schema": references[0] if len(references) == 1 else {"anyOf": references}
    }
    content["examples"] = {
        shown: {"value": example} for kind in kinds for shown, example in kind.examples().items()
    }
    family = next(k for k in reversed(kinds[0].__mro__) if "type" in getattr(k, "model_fields", {}))
    about = inspect.cleandoc(family.__doc__ or "").partition("\n")
    return {
        "post": {
            "operationId": name[0].lower() + name[1:],
            "tags": [title_of("webhooks")],
            "summary": about[0],
            **({"description": about[2].strip()} if about[2].strip() else {}),
            "security": [],
            "requestBody": {"required": True, "content": {"application/json": content}},
            "responses": {"2XX": {"description": "Delivered; any other answer is retried."}},
        }
    }


def _used_components(documents: object, schemas: Schemas) -> dict[str, Any]:
    """The components that *documents* lead to."""
    used: dict[str, Any] = {}
    unread = [documents]
    while unread:
        item = unread.pop()
        if isinstance(item, list):
            unread += item
        elif isinstance(item, dict):
            unread += item.values()
            name = str(item.get("$ref", "")).removeprefix(COMPONENTS)
            if name in schemas.components and name not in used:
                used[name] = schemas.components[name]
                unread.append(used[name])
    return used


def _security_schemes() -> dict[str, Any]:
    return {
        "ClientToken": {
            "type": "apiKey",
            "in": "header",
            "name": "Client-Token",
            "description": "The token of the account, where the account requires one.",
        },
        "PartnerToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "For the routes of the account: its partner token, or an API key of "
            "`POST /account/keys` with the scope of the route (`x-scope`).",
        },
        "PartnerTokenHeader": {
            "type": "apiKey",
            "in": "header",
            "name": "Partner-Token",
            "description": "The same token in a header of its own, as newer clients send it. "
            "Unconfirmed.",
        },
    }


def _shared_parameters() -> dict[str, Any]:
    return {
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key on the same instance within 24 hours gets the first "
            "answer again and queues nothing.",
            "schema": {"type": "string", "maxLength": 255},
        },
        "Prefer": {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "description": "`wait=20` answers when the message is out, after at most so many "
            "seconds (60), and adds `status` and, where it failed, `error`.",
            "schema": {"type": "string"},
        },
        "InstanceId": {
            "name": "instanceId",
            "in": "path",
            "required": True,
            "description": "Which instance.",
            "schema": {"type": "string"},
        },
        "InstanceToken": {
            "name": "instanceToken",
            "in": "path",
            "required": True,
            "description": "Its token, or an API key of the account with the scope of the route "
            "(`x-scope`).",
            "schema": {"type": "string"},
        },
    }
