"""The line of time of a message in words: one entry for each thing that happened."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from babel.units import format_unit

from gateway.contract.extensions.history import CallbackTrace, MessageTimeline, TimelineEntry
from gateway.panel.cookies import Tone
from gateway.panel.gateway_answers import known_answer
from gateway.panel.languages import N_, locale_of
from gateway.panel.message_words import MessageWords
from gateway.panel.visit import Visit

_NAMED_PEOPLE: Final = 8


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One thing that happened, as the macro `timeline` shows it."""

    at: datetime
    tone: Tone
    title: str
    text: str = ""


_TITLES: Final = {
    "accepted": N_("Accepted by the gateway"),
    "scheduled": N_("Scheduled for this time"),
    "sent": N_("Sent: WhatsApp has it"),
    "delivered": N_("Delivered to the phone"),
    "read": N_("Read"),
    "played": N_("Played"),
    "received": N_("Received"),
    "failed": N_("Could not be sent"),
    "canceled": N_("Canceled: it is not sent"),
}
_TONES: Final[dict[str, Tone]] = {
    "scheduled": "wait",
    "sent": "ok",
    "delivered": "ok",
    "read": "ok",
    "played": "ok",
    "failed": "bad",
}
_ATTEMPTS: Final[dict[str | None, tuple[Tone, str]]] = {
    None: ("wait", N_("Attempt %(number)s is running")),
    "sent": ("plain", N_("Attempt %(number)s worked")),
    "transient": ("warn", N_("Attempt %(number)s failed")),
    "unconfirmed": ("warn", N_("Attempt %(number)s: WhatsApp did not answer")),
    "refused": ("bad", N_("Attempt %(number)s was refused")),
}
_CALLBACKS: Final[dict[str, tuple[Tone, str]]] = {
    "waiting": ("wait", N_("Webhook: waits for your system")),
    "delivered": ("ok", N_("Webhook: your system was notified")),
    "dead": ("bad", N_("Webhook: your system could not be notified")),
    "discarded": ("plain", N_("Webhook: discarded")),
}
_PEOPLE: Final = {
    "delivered": N_("Delivered to %(count)s people"),
    "read": N_("Read by %(count)s people"),
    "played": N_("Played by %(count)s people"),
}


def steps_of(visit: Visit, timeline: MessageTimeline) -> Sequence[TimelineStep]:
    """Returns the steps, oldest first; the receipts of a group are one step of each kind."""
    steps = [*_alone(visit, timeline.entries), *_of_people(visit, timeline.entries)]
    return sorted(steps, key=lambda step: step.at)


def _alone(visit: Visit, entries: Sequence[TimelineEntry]) -> Iterator[TimelineStep]:
    number = 0
    for entry in entries:
        if entry.type == "attempt":
            number += 1
            yield _attempt(visit, entry, number)
        elif entry.callback is not None:
            yield _callback(visit, entry.at, entry.callback)
        elif entry.participant is None:
            title = visit.gettext(_TITLES[entry.type])
            text = known_answer(visit.language, entry.error or "")
            yield TimelineStep(entry.at, _TONES.get(entry.type, "plain"), title, text)


def _attempt(visit: Visit, entry: TimelineEntry, number: int) -> TimelineStep:
    tone, title = _ATTEMPTS.get(entry.outcome) or _ATTEMPTS["transient"]
    parts = []
    if entry.ended_at is not None:
        lasted = round((entry.ended_at - entry.at).total_seconds(), 1)
        shown = format_unit(lasted, "second", locale=locale_of(visit.language))
        parts.append(visit.gettext("It took %(duration)s.", duration=shown))
    if entry.error:
        parts.append(known_answer(visit.language, entry.error))
    return TimelineStep(entry.at, tone, visit.gettext(title, number=number), " ".join(parts))


def _callback(visit: Visit, at: datetime, trace: CallbackTrace) -> TimelineStep:
    tone, title = _CALLBACKS[trace.status]
    parts = [trace.type, trace.host or ""]
    if trace.http_status:
        parts.append(f"HTTP {trace.http_status}")
    if trace.attempts > 1:
        parts.append(
            visit.ngettext("after %(num)s attempt", "after %(num)s attempts", trace.attempts)
        )
    if trace.status == "waiting" and trace.next_attempt_at:
        time = MessageWords(visit).moment(trace.next_attempt_at, seconds=True)
        parts.append(visit.gettext("tries again at %(time)s", time=time))
    if trace.error:
        parts.append(known_answer(visit.language, trace.error))
    return TimelineStep(at, tone, visit.gettext(title), ", ".join(filter(None, parts)))


def _of_people(visit: Visit, entries: Sequence[TimelineEntry]) -> Iterator[TimelineStep]:
    words = MessageWords(visit)
    for kind in _PEOPLE:
        found = [e for e in entries if e.participant is not None and e.type == kind]
        if not found:
            continue
        named = [words.chat(e.participant or "") for e in found[:_NAMED_PEOPLE]]
        more = len(found) - len(named)
        text = ", ".join(named)
        if more:
            text = visit.gettext("%(people)s and %(count)s more", people=text, count=more)
        title = visit.gettext(_PEOPLE[kind], count=len(found))
        yield TimelineStep(min(e.at for e in found), "ok", title, text)
