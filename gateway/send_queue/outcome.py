"""Decides what an attempt to send a message led to.

failure         outcome
NotConnected    HandedBack   the attempt does not count; the session will come back
Restricted      Held         the attempt does not count; the whole queue waits
                Withheld     its reach is first contacts: they wait, and replies go on
                Retried      its reach is the chat
TryAgainLater   Retried      Failed if no attempts are left, unless the attempt does not count
                Held         its reach is the queue
Refused         Failed
Unconfirmed     Retried      if the provider shows one id once and attempts are left, else Failed
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, assert_never

from gateway.clock import Clock
from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile
from gateway.errors import NotConnected, Reach, Refused, Restricted, TryAgainLater, Unconfirmed
from gateway.media.file_links import LinkTo, no_link
from gateway.randomness import Uniform
from gateway.send_queue.pacing import Backoff
from gateway.sessions.provider import Receipt, SendFailure

HoldKind = Literal["restricted", "daily_limit", "linking"]
FIRST_CONTACTS: Final = "first_contacts"
"""The kind of a hold that only stops messages to people without a conversation."""


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
    """The whole queue waits: WhatsApp restricts the number, or the daily limit is reached.

    `counts` says whether the attempt counts.
    """

    until: datetime
    reason: str
    kind: Literal["restricted", "daily_limit"] = "restricted"
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Withheld:
    """The message waits with all others that begin a conversation; the attempt does not count."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Retried:
    """The chat waits; the next attempt may begin after `after_seconds`."""

    after_seconds: float
    error_class: str
    reason: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """The message becomes a dead letter, and its lane goes on without it."""

    error_class: str
    reason: str


Outcome = Sent | HandedBack | Held | Withheld | Retried | Failed


def reason_of(outcome: Outcome) -> str | None:
    """Returns the class of what went wrong, for the log: the sentence may name a person."""
    match outcome:
        case Sent():
            return None
        case HandedBack():
            return "not_connected"
        case Held(kind=kind):
            return kind
        case Withheld():
            return FIRST_CONTACTS
        case Retried(error_class=error_class) | Failed(error_class=error_class):
            return error_class


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The pauses between the attempts of one message."""

    backoff: Backoff
    uniform: Uniform
    clock: Clock = field(default_factory=Clock)

    def pause(self, failures: int, wanted_seconds: float | None) -> float:
        """Returns the seconds that WhatsApp wants, else those after so many failures in a row."""
        if wanted_seconds is not None:
            return wanted_seconds
        return self.backoff.after(failures, self.uniform)


def outcome_of(
    failure: SendFailure,
    *,
    attempts: int,
    max_attempts: int,
    can_repeat_send: bool,
    policy: RetryPolicy,
    deferrals: int = 0,
) -> Outcome:
    """Decides what a failed attempt leads to.

    *attempts* counts this attempt, *deferrals* the attempts before it that did not count.
    """
    is_last = attempts >= max_attempts
    match failure:
        case NotConnected():
            return HandedBack()
        case Restricted():
            return _restricted(failure, policy)
        case TryAgainLater():
            failures = attempts if failure.counts else deferrals + 1
            return _passing(failure, policy, failures, is_last=is_last and failure.counts)
        case Refused():
            return Failed("refused", str(failure))
        case Unconfirmed():
            if can_repeat_send and not is_last:
                return Retried(policy.pause(attempts, None), "unconfirmed", str(failure))
            reason = str(failure) if can_repeat_send else f"unconfirmed: {failure}"
            return Failed("unconfirmed", reason)
        case _:
            assert_never(failure)


def _restricted(failure: Restricted, policy: RetryPolicy) -> Outcome:
    match failure.reach:
        case Reach.QUEUE:
            return Held(failure.until, str(failure))
        case Reach.FIRST_CONTACTS:
            return Withheld(failure.until, str(failure))
        case Reach.CHAT:
            seconds = (failure.until - policy.clock.now()).total_seconds()
            return Retried(max(0.0, seconds), "restricted", str(failure), counts=False)


def _passing(
    failure: TryAgainLater, policy: RetryPolicy, failures: int, *, is_last: bool
) -> Outcome:
    """Decides on the failure that is the *failures*-th in a row, and whose attempt was the last."""
    if is_last:
        return Failed("transient", str(failure))
    pause = policy.pause(failures, failure.after_seconds)
    if failure.reach is Reach.QUEUE:
        until = policy.clock.now() + timedelta(seconds=pause)
        return Held(until, str(failure), counts=failure.counts)
    return Retried(pause, "transient", str(failure), counts=failure.counts)
