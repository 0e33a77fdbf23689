"""Decides what an attempt to send a message led to.

failure         outcome
NotConnected    HandedBack   the attempt does not count; the session will come back
Restricted      Held         the attempt does not count; the whole queue waits
TryAgainLater   Retried      Failed if no attempts are left
Refused         Failed
Unconfirmed     Retried      if the provider shows one id once and attempts are left, else Failed
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, assert_never

from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile
from gateway.errors import NotConnected, Refused, Restricted, TryAgainLater, Unconfirmed
from gateway.media.file_links import LinkTo, no_link
from gateway.randomness import Uniform
from gateway.send_queue.pacing import Backoff
from gateway.sessions.provider import Receipt, SendFailure

HoldKind = Literal["restricted", "daily_limit", "linking"]


@dataclass(frozen=True, slots=True)
class Sent:
    """WhatsApp accepted the message.

    Attributes:
        receipt: what the provider answered.
        referred: the earlier messages that it names.
        files: the files that were sent, whose bytes may be gone.
        link_to: returns the link to a stored file, for the echo.
    """

    receipt: Receipt
    referred: Mapping[str, KnownMessage] = field(default_factory=dict)
    files: Mapping[str, MediaFile] = field(default_factory=dict)
    link_to: LinkTo = no_link


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The message waits again as if no worker had claimed it."""


@dataclass(frozen=True, slots=True)
class Held:
    """The whole queue waits: WhatsApp restricts the number, or the daily limit is reached."""

    until: datetime
    reason: str
    kind: HoldKind = "restricted"


@dataclass(frozen=True, slots=True)
class Retried:
    """The attempt counts; the next one may begin after `after_seconds`."""

    after_seconds: float
    error_class: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The message becomes a dead letter, and its lane goes on without it."""

    error_class: str
    reason: str


Outcome = Sent | HandedBack | Held | Retried | Failed


def reason_of(outcome: Outcome) -> str | None:
    """Returns the class of what went wrong, for the log: the sentence may name a person."""
    match outcome:
        case Sent():
            return None
        case HandedBack():
            return "not_connected"
        case Held(kind=kind):
            return kind
        case Retried(error_class=error_class) | Failed(error_class=error_class):
            return error_class


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The pauses between the attempts of one message."""

    backoff: Backoff
    uniform: Uniform


def outcome_of(
    failure: SendFailure,
    *,
    attempts: int,
    max_attempts: int,
    can_repeat_send: bool,
    policy: RetryPolicy,
) -> Outcome:
    """Decides what a failed attempt leads to; *attempts* counts this attempt."""

    def retried(error_class: str, after_seconds: float | None) -> Outcome:
        if attempts >= max_attempts:
            return Failed(error_class, str(failure))
        pause = policy.backoff.after(attempts, policy.uniform)
        return Retried(pause if after_seconds is None else after_seconds, error_class, str(failure))

    unconfirmed = Failed("unconfirmed", f"unconfirmed: {failure}")
    match failure:
        case NotConnected():
            return HandedBack()
        case Restricted(until=until):
            return Held(until, str(failure))
        case TryAgainLater(after_seconds=after_seconds):
            return retried("transient", after_seconds)
        case Refused():
            return Failed("refused", str(failure))
        case Unconfirmed():
            return retried("unconfirmed", None) if can_repeat_send else unconfirmed
        case _:
            assert_never(failure)
