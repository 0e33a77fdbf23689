"""What an action changed, as lines that people read: name, value before, value after."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from babel.dates import format_datetime

from gateway.panel.languages import N_, locale_of
from gateway.panel.visit import Visit

_NAMES: Final[Mapping[str, str]] = {
    "paused": N_("Paused"),
    "waiting": N_("Waiting"),
    "failed": N_("Failed"),
    "scheduled": N_("Scheduled"),
    "pending": N_("Open"),
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
}
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
_MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that became another one; of a secret only that it did."""

    name: str
    before: str
    after: str
    is_secret: bool


def differences(
    visit: Visit, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Sequence[Difference]:
    """Returns what differs; nested values are lines of their own."""
    return [
        Difference(
            _name(visit, path),
            _written(visit, path, old),
            _written(visit, path, new),
            _is_digest(path, old) or _is_digest(path, new),
        )
        for path, old, new in _pairs(before, after, ())
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
        yield from _pairs(old.get(name), new.get(name), (*path, str(name)))


def _name(visit: Visit, path: tuple[str, ...]) -> str:
    *outer, last = path
    known = _NAMES.get(last)
    text = visit.gettext(known) if known else last.replace("_", " ")
    shown = [each[:8] if len(each) > len("0" * 20) else each.replace("_", " ") for each in outer]
    return " / ".join([*shown, text])


def _is_digest(path: tuple[str, ...], value: object) -> bool:
    is_text = isinstance(value, str) and _DIGEST.fullmatch(value) is not None
    return is_text and path[-1] in _DIGESTS


def _written(visit: Visit, path: tuple[str, ...], value: object) -> str:
    if value is None or value in ({}, [], ""):
        return visit.gettext("none")
    if isinstance(value, bool):
        return visit.gettext("yes") if value else visit.gettext("no")
    if _is_digest(path, value):
        return visit.gettext("set")
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)[:_MAX_LENGTH]
    text = str(value)
    return _time(visit, text) or text[:_MAX_LENGTH]


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
