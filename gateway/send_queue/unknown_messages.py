"""Decides how a message is sent that names an earlier one which the gateway does not know.

    a reply          ->  quotes it by its id, or leaves without the quote (GATEWAY_UNKNOWN_QUOTE)
    a reaction, a pin, an edit  ->  names it by its id, its chat and its author
    what needs its content, or an author whom the request does not name  ->  refused at the door

Who changes from Z-API to this gateway has ids from before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic.alias_generators import to_camel

from gateway.contract.known import KnownMessage
from gateway.contract.send import OutgoingMessage
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import InvalidRequest

_FIND_UNKNOWN_IDS = query("history", "find_unknown_ids")
_QUEUE_ORDER = query("send_queue", "queue_order")

UnknownQuote = Literal["quote", "omit"]
"""Whether a reply quotes a message that the gateway does not know."""


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


@dataclass(frozen=True, slots=True)
class _Stored:
    queue_order: str | None
    unknown_quote: UnknownQuote | None


class UnknownMessages:
    """Completes the messages of all queues of this process."""

    def __init__(self, database: Database, policy: UnknownQuote = "quote") -> None:
        """Prepares it; *policy* is that of instances without a setting of their own."""
        self._database, self._policy = database, policy

    async def complete(
        self, instance_id: str, message: OutgoingMessage, known: Mapping[str, KnownMessage]
    ) -> tuple[OutgoingMessage, Mapping[str, KnownMessage]]:
        """Returns the message as it is to be sent, and the earlier messages that it names.

        Raises:
            DatabaseUnavailable: the setting of the instance cannot be read.
        """
        if not _missing(message, known):
            return message, known
        stored = await self._database.fetch_one(_Stored, _QUEUE_ORDER, instance_id=instance_id)
        return with_unknown(message, known, (stored and stored.unknown_quote) or self._policy)


async def require_known(database: Database, instance_id: str, message: OutgoingMessage) -> None:
    """Refuses a message that cannot be sent without an earlier one which is not known.

    Raises:
        InvalidRequest: names the field with the id of the earlier message.
        DatabaseUnavailable: it cannot be said.
    """
    needed = message.needed_ids()
    if not needed:
        return
    unknown = await database.fetch_all(
        _Id, _FIND_UNKNOWN_IDS, instance_id=instance_id, ids=list(needed)
    )
    if unknown:
        raise InvalidRequest(_refusal(message, unknown[0].id))


def with_unknown(
    message: OutgoingMessage, known: Mapping[str, KnownMessage], policy: UnknownQuote
) -> tuple[OutgoingMessage, Mapping[str, KnownMessage]]:
    """Returns the message as it is to be sent, and the earlier messages that it names.

    What is assumed of unknown ones is added. A reply whose quote has no author leaves without it.
    """
    unknown = _missing(message, known)
    if message.replied_id() in unknown and (policy == "omit" or not _can_quote(message)):
        message = message.without_quote() or message
        unknown = _missing(message, known)
    assumed = {each: found for each in unknown if (found := message.assumed(each))}
    return message, {**known, **assumed}


def _missing(message: OutgoingMessage, known: Mapping[str, KnownMessage]) -> Sequence[str]:
    return [each for each in message.referred_ids() if each not in known]


def _can_quote(message: OutgoingMessage) -> bool:
    quoted = message.replied_id()
    return quoted is not None and message.assumed(quoted) is not None


def _refusal(message: OutgoingMessage, message_id: str) -> str:
    """Names the field that holds the id, as callers spell it."""
    fields = type(message).model_fields
    name = next(name for name in fields if getattr(message, name) == message_id)
    cure = (
        "; in a group, name its author in participantPhone, or say owner: true"
        if "participant_phone" in fields
        else ""
    )
    return f"{to_camel(name)}: is no message that this instance has sent or received{cure}"
