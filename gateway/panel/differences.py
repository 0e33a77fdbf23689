"""What an action changed, as lines that people read: name, value before, value after."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from babel.dates import format_datetime

from gateway.panel.known_texts import ROLES
from gateway.panel.languages import N_, locale_of
from gateway.panel.visit import Visit
from gateway.panel.webhook_words import TITLES

_NAMES: Final[Mapping[str, str]] = {
    "paused": N_("Paused"),
    "waiting": N_("Waiting"),
    "failed": N_("Failed"),
    "scheduled": N_("Scheduled"),
    "pending": N_("Given up"),
    "discarded": N_("Discarded"),
    "name": N_("Name"),
    "instance_ids": N_("Numbers"),
    "key": N_("API key"),
    "daily_limit": N_("Daily limit"),
    "warm_up_days": N_("Warm-up in days"),
    "pace_min_seconds": N_("Shortest pause in seconds"),
    "pace_max_seconds": N_("Longest pause in seconds"),
    "hold_until": N_("Held until"),
    "auto_read_message": N_("Mark messages as read"),
    "auto_read_status": N_("Mark status posts as read"),
    "call_reject_auto": N_("Reject calls"),
    "call_reject_message": N_("Answer to calls"),
    "received_callback_url": N_("Webhook for received messages"),
    "delivery_callback_url": N_("Webhook for sent messages"),
    "message_status_callback_url": N_("Webhook for receipts"),
    "connected_callback_url": N_("Webhook for connections"),
    "disconnected_callback_url": N_("Webhook for disconnections"),
    "presence_chat_callback_url": N_("Webhook for typing"),
    "client_token": N_("Client-Token"),
    "client_token_required": N_("Client-Token required"),
    "partner_token": N_("Partner token"),
    "allowed_addresses": N_("Allowed addresses"),
    "webhook_secret": N_("Secret of webhooks"),
    "refuse_opted_out": N_("Refuse people who opted out"),
    "payload_encryption": N_("Encryption of content"),
    "consent": N_("Consent"),
    "enabled": N_("Enabled"),
    "scopes": N_("Rights"),
    "networks": N_("Networks"),
    "expires_at": N_("Ends"),
    "role": N_("Role"),
    "user": N_("User"),
    "subscribed": N_("Subscribed"),
    "token": N_("Token"),
    "proxy": N_("Proxy"),
    "value": N_("Value"),
    "url": N_("Address"),
    "types": N_("Events"),
    "header_names": N_("Headers"),
}
_VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "consent": {"granted": N_("Agreed"), "revoked": N_("Opted out")},
    "role": {role.lower(): role for role in ROLES},
    "scopes": {
        "manage": N_("Manage"),
        "read": N_("Read data"),
        "send": N_("Send"),
        "webhooks": N_("Webhooks"),
    },
    "types": TITLES,
}
"""Words of the API, by the name of the value; the texts are English msgids."""
_DIGESTS: Final = frozenset(
    {
        "token",
        "proxy",
        "provider_settings",
        "call_reject_message",
        "client_token",
        "partner_token",
        "webhook_secret",
        "previous_webhook_secret",
        "headers",
        "secret",
        "key",
    }
)
"""Of these, the log has a few digits of a hash, which say nothing to people."""
_DIGEST = re.compile(r"[0-9a-f]{8}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")
_MAX_LENGTH: Final = 300
_MAX_NAME_LENGTH: Final = 30
"""A longer name in a path is an id."""
_MAX_DEPTH: Final = 4
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that became another one; of a secret only that it did.

    `before` is empty where the value itself is new, as in what was created.
    """

    name: str
    before: str
    after: str
    is_secret: bool


def differences(
    visit: Visit, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Sequence[Difference]:
    """Returns what differs; nested values are lines of their own.

    A value that is as empty after as before is left out.
    """
    return [
        Difference(
            _name(visit, path),
            "" if old is _ABSENT else _written(visit, path, old),
            _written(visit, path, new),
            _is_digest(path, old) or _is_digest(path, new),
        )
        for path, old, new in _pairs(before, after, ())
        if not (_is_empty(old) and _is_empty(new))
    ]


def given_lines(visit: Visit, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Returns the fields of the request, as name and value."""
    return [(_name(visit, (name,)), _written(visit, (name,), v)) for name, v in given.items()]


def _pairs(
    before: Any,  # noqa: ANN401 - JSON
    after: Any,  # noqa: ANN401 - JSON
    path: tuple[str, ...],
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    is_nested = isinstance(before, dict) or isinstance(after, dict)
    if not is_nested or len(path) >= _MAX_DEPTH:
        if before != after:
            yield path, before, after
        return
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    for name in sorted(old.keys() | new.keys()):
        yield from _pairs(old.get(name, _ABSENT), new.get(name), (*path, str(name)))


def _name(visit: Visit, path: tuple[str, ...]) -> str:
    """Returns the names of a path in words, without the ids in it."""
    shown = [each for each in path[:-1] if len(each) <= _MAX_NAME_LENGTH]
    names = [(each, _NAMES.get(each)) for each in (*shown, path[-1])]
    return " / ".join(
        visit.gettext(known) if known else each.replace("_", " ") for each, known in names
    )


def _is_digest(path: tuple[str, ...], value: object) -> bool:
    is_text = isinstance(value, str) and _DIGEST.fullmatch(value) is not None
    return is_text and path[-1] in _DIGESTS


def _written(visit: Visit, path: tuple[str, ...], value: object) -> str:
    if _is_empty(value):
        return visit.gettext("none")
    if isinstance(value, bool):
        return visit.gettext("yes") if value else visit.gettext("no")
    if _is_digest(path, value):
        return visit.gettext("set")
    if isinstance(value, list):
        return ", ".join(_word(visit, path[-1], str(each)) for each in value)[:_MAX_LENGTH]
    text = str(value)
    return _time(visit, text) or _word(visit, path[-1], text)[:_MAX_LENGTH]


def _is_empty(value: object) -> bool:
    return value is None or value is _ABSENT or value in ({}, [], "")


def _word(visit: Visit, name: str, text: str) -> str:
    """Returns a value of the API in words, where it has some."""
    known = _VALUES.get(name, {}).get(text)
    return visit.gettext(known) if known else text


def _time(visit: Visit, text: str) -> str:
    if not _TIME.fullmatch(text):
        return ""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return ""
    if at.tzinfo is None:
        return ""
    return format_datetime(at, "medium", tzinfo=visit.zone, locale=locale_of(visit.language))
