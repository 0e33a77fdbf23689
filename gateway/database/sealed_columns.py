"""Which parameters and columns of the named statements hold content, and what stays readable.

The statements of providers are declared in their own files (`content_declarations`). A statement
that is in neither writes and reads no content, or moves it from table to table within Postgres.
`tests/postgres/test_sealed_statements.py` compares this with the text of every statement.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from psycopg.types.json import Jsonb

from gateway.database.content_declarations import declared_statements
from gateway.database.payload_seal import (
    FILES,
    PayloadSeal,
    Unopened,
    UnopenedText,
    each_text,
    is_sealed_bytes,
    is_sealed_object,
    is_sealed_text,
    key_id_in,
    sealed_body,
)
from gateway.database.queries import query

Json = Mapping[str, Any]

SIMULATION: Final = "simulation"
"""The scope of events between simulated phones: the sender does not know who receives them."""

_FILE = re.compile(r'"media:([0-9a-f]{64})"|/media/[^/"\s]+/([0-9a-f]{64})/')


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of value is sealed and opened.

    Attributes:
        seal: returns the sealed value for a scope.
        open: returns the plain value for a scope, or what stands for it.
        is_sealed: says whether a value is sealed, or looks like it: such a value is always sealed,
            so that no caller can write a text that would be taken for a ciphertext.
        scope: instead of the id of the instance.
    """

    seal: Callable[[PayloadSeal, str, Any], Any]
    open: Callable[[PayloadSeal, str, Any], Any]
    is_sealed: Callable[[Any], bool]
    scope: str | None = None
    key_ids: Callable[[Any], set[str | None]] = lambda value: {key_id_in(value)}
    """Returns the ids of the keys under which a stored value is sealed; None where it is plain."""

    def sealed(self, seal: PayloadSeal, instance_id: str, value: Any) -> Any:  # noqa: ANN401 - any value
        return self.seal(seal, self.scope or instance_id, value)

    def opened(self, seal: PayloadSeal, instance_id: str, value: Any) -> Any:  # noqa: ANN401 - any value
        return self.open(seal, self.scope or instance_id, value)


def _json(clear: Callable[[Json, str], Json], *, scope: str | None = None) -> Kind:
    """Returns the kind of JSON objects of which *clear* returns the fields that SQL reads."""

    def seal(vault: PayloadSeal, scope: str, value: object) -> object:
        plain, text = _plain(value)
        sealed = vault.seal_object(scope, text.encode(), _present(clear(plain, text)))
        return orjson.dumps(sealed).decode() if isinstance(value, str) else Jsonb(sealed)

    def is_sealed(value: object) -> bool:
        if isinstance(value, str):
            return sealed_body(value) is not None
        return is_sealed_object(value.obj if isinstance(value, Jsonb) else value)

    return Kind(seal, PayloadSeal.open_object, is_sealed, scope)


def _plain(value: object) -> tuple[Json, str]:
    if isinstance(value, str):
        return orjson.loads(value), value
    plain: Any = value.obj if isinstance(value, Jsonb) else value
    return plain, orjson.dumps(plain).decode()


def _present(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _fields(*names: str) -> Callable[[Json, str], Json]:
    return lambda plain, _text: {name: plain.get(name) for name in names}


def _of_message(plain: Json, text: str) -> Json:
    """The delays, for the length of the queue, the caller's reference, and the ids of files."""
    files = sorted({f"media:{found[1] or found[2]}" for found in _FILE.finditer(text)})
    return {
        "delay_message": plain.get("delay_message"),
        "delay_typing": plain.get("delay_typing"),
        "track_id": plain.get("track_id"),
        FILES: files or None,
    }


def _of_library_event(plain: Json, _text: str) -> Json:
    """The parties, by which a person is erased."""
    information = plain.get("Info")
    if isinstance(information, Mapping) and "MessageSource" in information:
        return {"Info": {"MessageSource": information["MessageSource"]}}
    return {"MessageSource": plain.get("MessageSource")}


def _of_simulated_event(plain: Json, _text: str) -> Json:
    """What the simulator's statements read, and the event into which they put its parties."""
    event = plain.get("event")
    names = ("chat", "sender")
    parties = _present({n: event.get(n) for n in names}) if isinstance(event, Mapping) else None
    readable = ("kind", "chat", "state", "phone", "version", "messageId", "status")
    return {"event": parties, **{name: plain.get(name) for name in readable}}


def _seal_body(seal: PayloadSeal, scope: str, value: str) -> str:
    plain = orjson.loads(value)
    clear = _present({name: plain.get(name) for name in _READ_IN_BODIES})
    return orjson.dumps(seal.seal_object(scope, value.encode(), clear)).decode()


def _open_body(seal: PayloadSeal, scope: str, value: str) -> str:
    stored = sealed_body(value)
    return value if stored is None else seal.open_body(scope, stored)


def _seal_texts(seal: PayloadSeal, scope: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        sealed = each_text(orjson.loads(value), lambda text: seal.seal_text(scope, text))
        return orjson.dumps(sealed).decode()
    return each_text(value, lambda text: seal.seal_text(scope, text))


def _open_texts(seal: PayloadSeal, scope: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
    def opened(text: str) -> str:
        return seal.open_text(scope, text) if is_sealed_text(text) else text

    return each_text(value, opened)


def is_unopened(value: Any) -> bool:  # noqa: ANN401 - any value
    """Says whether an opened value, or a text in it, stands for one that no key opens."""
    if value is None or isinstance(value, Unopened):
        return True
    return any(isinstance(text, UnopenedText) for text in _texts_in(value))


def _holds_sealed_text(value: Any) -> bool:  # noqa: ANN401 - any JSON
    plain = orjson.loads(value) if isinstance(value, str) else value
    return any(map(is_sealed_text, _texts_in(plain)))


def _texts_in(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _texts_in(item)
        case list() | tuple():
            for item in value:
                yield from _texts_in(item)
        case _:
            return


_READ_IN_BODIES = ("isGroup", "participantPhone", "participantLid")

MESSAGE: Final = _json(_of_message)
EVENT: Final = _json(_fields("sender", "sender_lid"))
LIBRARY_EVENT: Final = _json(_of_library_event)
SIMULATED_EVENT: Final = _json(_of_simulated_event, scope=SIMULATION)
TEXT: Final = Kind(PayloadSeal.seal_text, PayloadSeal.open_text, is_sealed_text)
BODY: Final = Kind(_seal_body, _open_body, lambda value: sealed_body(value) is not None)
BYTES: Final = Kind(PayloadSeal.seal_bytes, PayloadSeal.open_bytes, is_sealed_bytes)
TEXTS: Final = Kind(
    _seal_texts,
    _open_texts,
    _holds_sealed_text,
    key_ids=lambda value: set(map(key_id_in, _texts_in(value))),
)

SECRET: Final = Kind(PayloadSeal.seal_text, PayloadSeal.open_text, lambda _value: True)
"""Encrypted for every instance, whatever its account wants."""


@dataclass(frozen=True, slots=True)
class SealedStatement:
    """The parameters of a statement that hold content, and its columns that do.

    Parameters that are lists belong to `instance_ids`, or to the list that `instances` names, value
    by value, if the statement has it; otherwise the whole parameter belongs to `instance_id`. A row
    belongs to its column `instance_id`, if it has one, otherwise to that parameter.
    """

    writes: Mapping[str, Kind] = field(default_factory=dict)
    reads: Mapping[str, Kind] = field(default_factory=dict)
    instances: str = "instance_ids"


_FAILED = {"error": TEXT, "callback": BODY}
_HISTORY = {"payload": MESSAGE, "error": TEXT}
_ADDED = {"payload": MESSAGE, "provider_data": BYTES}

_STATEMENTS: Final[Mapping[tuple[str, str], SealedStatement]] = {
    ("send_queue", "enqueue"): SealedStatement({"payloads": MESSAGE}),
    ("send_queue", "claim"): SealedStatement(reads={"payload": MESSAGE}),
    ("send_queue", "find_next"): SealedStatement(reads={"payload": MESSAGE}),
    ("send_queue", "find_orphans"): SealedStatement(reads={"payload": MESSAGE}),
    ("send_queue", "record_sent"): SealedStatement(
        {
            "provider_data": BYTES,
            "callbacks": BODY,
            "echoes": BODY,
            "status_callbacks": BODY,
            "sent_files": TEXT,
        }
    ),
    ("send_queue", "record_failed"): SealedStatement(_FAILED),
    ("send_queue", "record_retry"): SealedStatement({"error": TEXT}),
    ("send_queue", "hold_queue"): SealedStatement({"callback": BODY}),
    ("send_queue", "withhold_message"): SealedStatement({"callback": BODY}),
    ("send_queue", "expire"): SealedStatement({"callbacks": BODY}),
    ("send_queue", "list_waiting"): SealedStatement(reads={"payload": MESSAGE, "last_error": TEXT}),
    ("send_queue", "find_waiting"): SealedStatement(reads={"payload": MESSAGE}),
    ("send_queue", "list_attempts"): SealedStatement(reads={"error": TEXT}),
    ("send_queue", "list_failed"): SealedStatement(reads=_HISTORY),
    ("send_queue", "list_latest_failed"): SealedStatement(reads=_HISTORY),
    ("send_queue", "find_progress"): SealedStatement(reads={"error": TEXT}),
    ("history", "find_known"): SealedStatement(reads=_ADDED),
    ("history", "add_received"): SealedStatement({**_ADDED, "callback": BODY}),
    ("history", "edit_content"): SealedStatement({"payload": MESSAGE}),
    ("history", "find_message"): SealedStatement(reads=_HISTORY),
    ("history", "list_messages"): SealedStatement(reads=_HISTORY),
    ("history", "list_messages_of_chat"): SealedStatement(reads=_HISTORY),
    ("message_search", "search_final"): SealedStatement(reads=_HISTORY),
    ("message_search", "search_final_of_chat"): SealedStatement(reads=_HISTORY),
    ("message_search", "search_waiting"): SealedStatement(reads=_HISTORY),
    ("queue_lanes", "describe_waiting"): SealedStatement(reads=_HISTORY),
    ("directory", "search_chats"): SealedStatement(reads={"name": TEXT}),
    ("directory", "last_messages"): SealedStatement(reads={"payload": MESSAGE}),
    ("directory", "list_messages"): SealedStatement(reads={"payload": MESSAGE, "sent_files": TEXT}),
    ("directory", "find_chats"): SealedStatement(reads={"note": TEXT, "name": TEXT}),
    ("directory", "list_contacts"): SealedStatement(reads={"vname": TEXT}),
    ("directory", "find_contact"): SealedStatement(reads={"vname": TEXT}),
    ("directory", "store_card_names"): SealedStatement({"names": TEXT}),
    ("directory", "set_note"): SealedStatement({"note": TEXT}),
    ("people", "find_consent"): SealedStatement(reads={"note": TEXT}),
    ("people", "list_consents"): SealedStatement(reads={"note": TEXT}),
    ("people", "record_consent"): SealedStatement({"note": TEXT}, {"note": TEXT}),
    ("person_data", "find_chats"): SealedStatement(reads={"note": TEXT}),
    ("person_data", "find_consents"): SealedStatement(reads={"note": TEXT}),
    ("person_data", "find_files"): SealedStatement(reads={"file_name": TEXT}),
    ("person_data", "find_messages"): SealedStatement(reads=_HISTORY),
    ("person_data", "find_queued"): SealedStatement(reads={"payload": MESSAGE, "last_error": TEXT}),
    ("person_searches", "cancel_cards"): SealedStatement({"payloads": MESSAGE}),
    ("export", "export_chats"): SealedStatement(reads={"note": TEXT}),
    ("export", "export_consents"): SealedStatement(reads={"note": TEXT}),
    ("export", "export_media"): SealedStatement(reads={"file_name": TEXT}),
    ("export", "export_messages"): SealedStatement(reads=_HISTORY),
    ("export", "export_queue"): SealedStatement(reads={"payload": MESSAGE, "last_error": TEXT}),
    ("inbox", "add_events"): SealedStatement({"bodies": EVENT}),
    ("inbox", "add_event_body"): SealedStatement({"body": EVENT}),
    ("inbox", "next_event"): SealedStatement(reads={"body": EVENT}),
    ("sessions", "record_connection"): SealedStatement({"callback": BODY}),
    ("webhooks", "enqueue_callbacks"): SealedStatement({"bodies": BODY}),
    ("webhooks", "claim_delivery_queues"): SealedStatement(reads={"body": BODY}),
    ("webhooks", "list_dead_letters"): SealedStatement(reads={"body": BODY}),
    ("webhooks", "read_events"): SealedStatement(reads={"body": BODY}),
    ("webhooks", "read_old_events"): SealedStatement(reads={"body": BODY}),
    ("webhooks", "finish_delivery_queues"): SealedStatement(
        {"answers": TEXT}, instances="logged_instance_ids"
    ),
    ("webhooks", "list_deliveries"): SealedStatement(reads={"answer": TEXT}),
    ("webhooks", "list_failed_deliveries"): SealedStatement(reads={"answer": TEXT}),
    ("callback_traces", "find_message_events"): SealedStatement(reads={"body": BODY}),
    ("callback_traces", "list_callback_attempts"): SealedStatement(reads={"answer": TEXT}),
    ("callback_traces", "find_waiting_callback"): SealedStatement(reads={"body": BODY}),
    ("callback_traces", "find_dead_callback"): SealedStatement(reads={"body": BODY}),
    ("callback_traces", "find_recorded_callback"): SealedStatement(reads={"body": BODY}),
    ("media", "put_file"): SealedStatement({"file_name": TEXT}),
    ("media", "find_file"): SealedStatement(reads={"file_name": TEXT}),
    ("media", "find_files"): SealedStatement(reads={"file_name": TEXT}),
}

KINDS: Final[Mapping[str, Kind]] = {
    "message": MESSAGE,
    "library_event": LIBRARY_EVENT,
    "simulated_event": SIMULATED_EVENT,
    "text": TEXT,
    "texts": TEXTS,
    "secret": SECRET,
}
"""The kinds by the names that declarations in SQL files give them."""


def kinds_of(declared: Mapping[str, str]) -> dict[str, Kind]:
    return {name: KINDS[kind] for name, kind in declared.items()}


STATEMENTS: Final[Mapping[tuple[str, str], SealedStatement]] = {
    **_STATEMENTS,
    **{
        (each.file, each.name): SealedStatement(kinds_of(each.writes), kinds_of(each.reads))
        for each in declared_statements()
    },
}

BY_OBJECT: Final[Mapping[int, SealedStatement]] = {
    id(query(file, name)): statement for (file, name), statement in STATEMENTS.items()
}
"""The same by the identity of the statement, which `query` returns once and keeps."""


def instances_of(
    parameters: Mapping[str, Any], several_name: str = "instance_ids"
) -> str | Sequence[str]:
    """Returns the instance of a statement's parameters, or that of each value in its lists."""
    several: Sequence[str] | None = parameters.get(several_name)
    return several if several is not None else str(parameters["instance_id"])
