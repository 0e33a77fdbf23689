"""Files of a message: how a field names one, and which kind it is."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin
from weakref import WeakKeyDictionary

import orjson
from pydantic import BaseModel, Field
from pydantic.alias_generators import to_camel

from gateway.contract.urls import WrittenUrl

MediaKind = Literal["image", "sticker", "gif", "audio", "video", "ptv", "document", "thumbnail"]

_MIB = 1024 * 1024
# The gateway's own: WhatsApp takes larger documents, and more than its servers play at once.
_MAX_BYTES: Final[Mapping[MediaKind, int]] = {
    "image": 16 * _MIB,
    "sticker": 16 * _MIB,
    "gif": 64 * _MIB,
    "audio": 64 * _MIB,
    "video": 64 * _MIB,
    "ptv": 64 * _MIB,
    "document": 100 * _MIB,
    "thumbnail": 5 * _MIB,
}


@dataclass(frozen=True, slots=True)
class MediaField:
    """Marks a text field, however deep in a message, that names a file.

    Callers give a URL, a `data:` URI or bare base64; a stored message holds a URL or a reference
    to a stored file, never the bytes. A session finds the file in `Attempt.media`, under the
    stored text of the field. `limit_bytes` is for a field with a smaller limit than its kind.
    """

    kind: MediaKind
    limit_bytes: int | None = None

    @property
    def max_bytes(self) -> int:
        """The largest file that this field accepts."""
        return self.limit_bytes or _MAX_BYTES[self.kind]

    @property
    def requirement(self) -> str:
        """The same as the end of a sentence."""
        return f"must be a file of at most {self.max_bytes // _MIB} MiB"


_MAX_SOURCE_LENGTH = 200_000_000
SOURCE = Field(min_length=1, max_length=_MAX_SOURCE_LENGTH)

Image = Annotated[WrittenUrl, SOURCE, MediaField("image")]
Sticker = Annotated[WrittenUrl, SOURCE, MediaField("sticker")]
Gif = Annotated[WrittenUrl, SOURCE, MediaField("gif")]
Audio = Annotated[WrittenUrl, SOURCE, MediaField("audio")]
Video = Annotated[WrittenUrl, SOURCE, MediaField("video")]
Ptv = Annotated[WrittenUrl, SOURCE, MediaField("ptv")]
Document = Annotated[WrittenUrl, SOURCE, MediaField("document")]
Thumbnail = Annotated[WrittenUrl, SOURCE, MediaField("thumbnail")]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file ready to be sent: fetched, checked and converted; present while the attempt lasts."""

    path: Path
    mime_type: str
    size_bytes: int
    sha256: str
    file_name: str | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    waveform: bytes | None = None
    """64 loudness samples, 0 to 100, of a voice note."""
    thumbnail: bytes | None = None
    """A small JPEG."""


_STORED: Final = ("mime_type", "sha256", "file_name", "width", "height", "duration_seconds")


def stored_files(files: Mapping[str, MediaFile]) -> str | None:
    """Returns what history stores of the files that were sent, by the texts that name them."""
    if not files:
        return None
    facts = {text: {n: getattr(file, n) for n in _STORED} for text, file in files.items()}
    return orjson.dumps(facts).decode()


def files_from(stored: str | None) -> dict[str, MediaFile]:
    """Returns the files of a stored form; their bytes are gone. None where it cannot be read."""
    try:
        facts = orjson.loads(stored or "{}")
    except orjson.JSONDecodeError:  # no key opens it
        return {}
    return {text: MediaFile(path=Path(), size_bytes=0, **fact) for text, fact in facts.items()}


@dataclass(frozen=True, slots=True)
class Preview:
    """The title, description and image of a page, shown above a link."""

    url: str
    title: str | None = None
    description: str | None = None
    image: MediaFile | None = None


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that a message names: where in it, spelled as on the wire, and by which text."""

    place: str
    text: str
    mark: MediaField


Model = TypeVar("Model", bound=BaseModel)


def holds_files(model: type[BaseModel]) -> bool:
    """Whether a message of this class may name a file, however deep."""
    return _holds_files(model, frozenset())


def file_fields(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, MediaField]]:
    """Yields every field of a message class that names a file, as callers spell its path."""
    for name, mark in _marks(model).items():
        info = model.model_fields[name]
        inner = list(_models(info.annotation))
        each = "[]" if inner and get_origin(info.annotation) is tuple else ""
        path = f"{above}{to_camel(name)}{each}"
        if mark:
            yield path, mark
        for part in inner:
            yield from file_fields(part, f"{path}.")


def files_in(message: BaseModel) -> list[NamedFile]:
    """Every file that *message* names."""
    return [
        NamedFile(".".join(place), text, mark) for place, text, mark in _texts(message, None, ())
    ]


def with_texts(message: Model, texts: Mapping[str, str]) -> Model:
    """The same message, its files named by other texts."""
    replaced = _mapped(message, None, lambda text: texts.get(text, text))
    assert isinstance(replaced, type(message))
    return replaced


_MARKS: WeakKeyDictionary[type[BaseModel], Mapping[str, MediaField | None]] = WeakKeyDictionary()


def _marks(model: type[BaseModel]) -> Mapping[str, MediaField | None]:
    if model not in _MARKS:
        _MARKS[model] = {
            name: next(
                (
                    found
                    for found in (*info.metadata, *_metadata(info.annotation))
                    if isinstance(found, MediaField)
                ),
                None,
            )
            for name, info in model.model_fields.items()
        }
    return _MARKS[model]


def _metadata(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - an annotation may be anything
    yield from getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation):
        yield from _metadata(argument)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - an annotation may be anything
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _holds_files(model: type[BaseModel], above: frozenset[type[BaseModel]]) -> bool:
    if any(_marks(model).values()):
        return True
    return any(
        _holds_files(inner, above | {model})
        for info in model.model_fields.values()
        for inner in _models(info.annotation)
        if inner not in above and inner is not model
    )


def _texts(
    value: object, mark: MediaField | None, place: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, MediaField]]:
    if isinstance(value, str):
        if mark:
            yield place, value, mark
    elif isinstance(value, BaseModel):
        for name, inner in _marks(type(value)).items():
            alias = type(value).model_fields[name].alias or name
            yield from _texts(getattr(value, name), inner, (*place, alias))
    elif isinstance(value, tuple | list):
        for n, item in enumerate(value):
            yield from _texts(item, mark, (*place, str(n)))


def _mapped(value: object, mark: MediaField | None, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value) if mark else value
    if isinstance(value, BaseModel):
        return value.model_copy(
            update={
                name: _mapped(getattr(value, name), inner, change)
                for name, inner in _marks(type(value)).items()
                if name in value.model_fields_set
            }
        )
    if isinstance(value, tuple | list):
        return type(value)(_mapped(item, mark, change) for item in value)
    return value
