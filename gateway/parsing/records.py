"""The records of Kafka topics: an envelope around a message of the contract, or a flat message.

envelope   {"instanceId", "type", "message": {...}}
flat       {"instanceName", "phoneNumber", "message", ...}, see `gateway.contract.flat`
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.flat import SCHEDULE_KEY, flat_message, time_of
from gateway.contract.send import OutgoingMessage
from gateway.errors import InvalidRequest
from gateway.parsing.json_bounds import parse_json
from gateway.parsing.tasks import ParsingTask

_NAMES: Final = ("instanceName", "channelInstanceId")
# When the record was made, and what finds it again, change nothing about the message.
_NOT_OF_THE_MESSAGE: Final = frozenset({"id", "scheduleId", "timestamp"})


@dataclass(frozen=True, slots=True)
class RecordAddress:
    """Who shall send, as the record says it.

    Attributes:
        field: the field that names the instance, for errors.
        instance: the id of the instance; or its name, where *by_name* says so.
        by_name: whether `instance` may be a name.
        user: the id or name of the account, if the record names one.
    """

    field: str
    instance: str
    by_name: bool
    user: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a Kafka topic.

    Attributes:
        own_id: the id that the sender gave it, or nothing.
        address: the account and the instance that shall send.
        made_at: when the sender made it, if the record says so.
        message: what it shall send, or why that cannot be sent: the instance is checked first.
        digest: of the message.
        is_flat: whether it has no envelope.
    """

    own_id: str
    address: RecordAddress
    made_at: datetime | None
    message: OutgoingMessage | InvalidRequest
    digest: bytes
    is_flat: bool = False


@dataclass(frozen=True, slots=True)
class ReadRecord(ParsingTask[Record]):
    """Reads a record.

    An envelope is a JSON object: `instanceId` or `instanceName`, `type` (the route, such as
    `send-text`) and `message` (the body of that route). Both forms may have `id`, `scheduleId`,
    `userId` and `timestamp`.
    """

    def run(self) -> Record:
        event = parse_json(self.raw, "The record")
        if not isinstance(event, dict) or not self.raw.strip():
            raise InvalidRequest("The record must be a JSON object")
        fields = {name: value for name, value in event.items() if value is not None}
        is_flat = _is_flat(fields)
        return Record(
            own_id=_own_id_of(fields),
            address=_address_of(fields),
            made_at=time_of(fields, "timestamp"),
            message=_flat_message_of(fields) if is_flat else _message_of(fields),
            digest=_digest_of(fields, is_flat=is_flat),
            is_flat=is_flat,
        )


def _is_flat(fields: Mapping[str, Any]) -> bool:
    """Says whether the fields of the message stand beside those of the record."""
    return not isinstance(fields.get("message"), dict) and "type" not in fields


def _own_id_of(fields: Mapping[str, Any]) -> str:
    if own_id := str(fields.get("id") or ""):
        return own_id
    schedule = fields.get("scheduleId", "")
    return "" if schedule == "" else f"{SCHEDULE_KEY}{schedule}"


def _address_of(fields: Mapping[str, Any]) -> RecordAddress:
    user = fields.get("userId")
    named = next((name for name in ("instanceId", *_NAMES) if name in fields), None)
    field = named or ("instanceName" if _is_flat(fields) else "instanceId")
    return RecordAddress(
        field=field,
        instance=str(fields.get(field, "")),
        by_name=field in _NAMES,
        user=None if user is None else str(user),
    )


def _digest_of(fields: Mapping[str, Any], *, is_flat: bool) -> bytes:
    if is_flat:
        content = {k: v for k, v in fields.items() if k not in _NOT_OF_THE_MESSAGE}
        written = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    else:  # as releases before flat records, whose keys this one still finds
        written = orjson.dumps([fields.get("type"), fields.get("message")])
    return hashlib.sha256(written).digest()


def _flat_message_of(fields: Mapping[str, Any]) -> OutgoingMessage | InvalidRequest:
    try:
        return flat_message(fields)
    except InvalidRequest as error:
        return error


def _message_of(fields: Mapping[str, Any]) -> OutgoingMessage | InvalidRequest:
    kind = catalogue().sends.get(str(fields.get("type", "")).strip("/"))
    if kind is None:
        return InvalidRequest("type: must be a route that sends, such as send-text")
    try:
        return build(kind, fields.get("message"))
    except InvalidRequest as error:
        return error
