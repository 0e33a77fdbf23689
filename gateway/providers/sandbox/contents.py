"""Contents of received messages: any content of a callback, given in full or as a named example."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from pydantic import ValidationError

from gateway.contract.callbacks import (
    MessageCallback,
    NotificationReceived,
    ReceivedCallback,
    received_kinds,
)
from gateway.errors import InvalidRequest
from gateway.providers.sandbox.bodies import sentence
from gateway.sessions.provider import ReceivedFile

JsonObject = dict[str, Any]

VARIANTS: Final[Mapping[str, type[ReceivedCallback]]] = {
    name: kind for kind in received_kinds() for name in kind.variants
}
"""All examples by name, such as `poll-vote` or `group-create`."""

_BESIDE = ReceivedCallback.content_keys()
_OWN_KEY: Final[Mapping[str, type[ReceivedCallback]]] = {
    key: kind for kind in received_kinds(MessageCallback) for key in kind.content_keys() - _BESIDE
}
_ANYWHERE: Mapping[str, Any] = {
    "instanceId": "",
    "phone": "",
    "momment": 0,
    "fromMe": False,
    "isGroup": False,
    "messageId": "",
}
_FILE_FIELDS: Final = {
    "image": "imageUrl",
    "video": "videoUrl",
    "audio": "audioUrl",
    "document": "documentUrl",
    "sticker": "stickerUrl",
    "statusImage": "imageUrl",
    "product": "productImage",
}
_EXAMPLE_URL = "https://example.com/file"
_SAMPLE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def envelope_of(variant: str | None) -> Mapping[str, Any]:
    """Returns the fields of an example's envelope that differ from those of a plain text."""
    if variant is None:
        return {}
    kind = VARIANTS[variant]
    own = kind.content_keys()
    return {key: value for key, value in kind.variants[variant].items() if key not in own}


def message_content(variant: str | None, given: Mapping[str, Any]) -> tuple[str, JsonObject]:
    """Returns the kind and the content: the example *variant*, with the *given* fields over it.

    Raises:
        InvalidRequest: the example is unknown, there is not exactly one content, or the content
            is not valid in a callback.
    """
    kind = _kind_of(variant, given)
    content = _merged(_example(kind, variant), _with_text_object(given))
    return _own_key(kind, content), checked_content(kind, content)


def checked_content(kind: type[ReceivedCallback], content: Mapping[str, Any]) -> JsonObject:
    try:
        whole = kind.model_validate({**_ANYWHERE, **content}, extra="forbid")
    except ValidationError as error:
        raise InvalidRequest(sentence(error)) from None
    dumped = whole.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {key: value for key, value in dumped.items() if key in content}


def files_in(content: JsonObject, source: str) -> tuple[JsonObject, tuple[ReceivedFile, ...]]:
    """Returns the content without its files, and the files."""
    bare = deepcopy(content)
    files = tuple(
        ReceivedFile(path, source, file_name=holder.get("fileName"))
        for path, holder, name in list(_file_fields(bare, ""))
        if holder.pop(name, None) in {None, _EXAMPLE_URL}
    )
    return bare, files


def without_source(given: Mapping[str, Any]) -> tuple[JsonObject, str]:
    """Returns the content without the source of its file, and the source.

    Without a source, that is a picture of one pixel.
    """
    bare: JsonObject = {**given}
    source: Any = _SAMPLE
    for key in _FILE_FIELDS.keys() & bare.keys():
        if isinstance(holder := bare[key], dict) and "source" in holder:
            bare[key] = {name: item for name, item in holder.items() if name != "source"}
            source = holder["source"]
    if not isinstance(source, str) or not source:
        raise InvalidRequest("source: must be a URL, a data: URI or base64")
    return bare, source


def _file_fields(value: Any, path: str) -> Iterator[tuple[str, JsonObject, str]]:  # noqa: ANN401 - JSON
    """Yields each file's path, the object that has it, and its field there."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _file_fields(item, f"{path}{index}.")
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if isinstance(item, dict) and (name := _FILE_FIELDS.get(key)):
            if item.get(name) in {None, _EXAMPLE_URL}:
                yield f"{path}{key}.{name}", item, name
        elif item == _EXAMPLE_URL and (key.endswith("Url") or key == "productImage"):
            yield f"{path}{key}", value, key
        yield from _file_fields(item, f"{path}{key}.")


def _kind_of(variant: str | None, given: Mapping[str, Any]) -> type[ReceivedCallback]:
    if variant is not None:
        kind = VARIANTS.get(variant)
        if kind is None or issubclass(kind, NotificationReceived):
            names = ", ".join(n for n, k in VARIANTS.items() if k is not NotificationReceived)
            raise InvalidRequest(f"kind: must be one of {names}")
        return kind
    if unknown := given.keys() - _OWN_KEY.keys() - _BESIDE:
        raise InvalidRequest(f"{min(unknown)}: is not known here")
    own = sorted(given.keys() & _OWN_KEY.keys())
    if len(own) != 1:
        found = " and ".join(own) or "none"
        raise InvalidRequest(f"One content is needed, such as text, image or kind; found {found}")
    return _OWN_KEY[own[0]]


def _example(kind: type[ReceivedCallback], variant: str | None) -> JsonObject:
    if variant is None:
        return {}
    own = kind.content_keys()
    return {key: value for key, value in kind.variants[variant].items() if key in own}


def _own_key(kind: type[ReceivedCallback], content: JsonObject) -> str:
    return min(kind.content_keys() - _BESIDE, key=lambda key: key not in content)


def _with_text_object(given: Mapping[str, Any]) -> JsonObject:
    """Accepts `"text": "hi"` for `"text": {"message": "hi"}`."""
    text = given.get("text")
    return {**given, "text": {"message": text}} if isinstance(text, str) else dict(given)


def _merged(example: JsonObject, given: JsonObject) -> JsonObject:
    return {
        **example,
        **{
            key: {**example[key], **value}
            if isinstance(value, dict) and isinstance(example.get(key), dict)
            else value
            for key, value in given.items()
        },
    }
