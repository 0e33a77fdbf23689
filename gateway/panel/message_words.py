"""Messages in words: what they are, how far they came, and why they wait."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from babel.dates import format_datetime, format_time

from gateway.contract.spellings import is_group, is_phone
from gateway.contract.zapi.instance_queue import WaitingCode
from gateway.panel.cookies import Tone
from gateway.panel.languages import N_, locale_of
from gateway.panel.visit import Visit

MANY_BEFORE: Final = 1_000
"""The gateway counts so many messages before one, no more."""
_STATUS_CHAT: Final = "status@broadcast"


@dataclass(frozen=True, slots=True)
class Word:
    """An English msgid with its icon; `tone` says whether it is good news."""

    label: str
    icon: str
    tone: Tone = "plain"


KINDS: Final[Mapping[str, Word]] = {
    "text": Word(N_("Text"), "message"),
    "image": Word(N_("Picture"), "image"),
    "video": Word(N_("Video"), "image"),
    "ptv": Word(N_("Video note"), "image"),
    "gif": Word(N_("GIF"), "image"),
    "sticker": Word(N_("Sticker"), "image"),
    "audio": Word(N_("Audio"), "pulse"),
    "document": Word(N_("Document"), "file"),
    "link": Word(N_("Link"), "link"),
    "location": Word(N_("Location"), "globe"),
    "contact": Word(N_("Contact"), "user"),
    "contacts": Word(N_("Contacts"), "people"),
    "poll": Word(N_("Poll"), "queue"),
    "poll-vote": Word(N_("Vote in a poll"), "check"),
    "reaction": Word(N_("Reaction"), "message"),
    "remove-reaction": Word(N_("Reaction taken back"), "message"),
    "button-list": Word(N_("Buttons"), "queue"),
    "button-actions": Word(N_("Buttons"), "queue"),
    "button-otp": Word(N_("Code button"), "key"),
    "button-pix": Word(N_("Pix payment"), "tag"),
    "option-list": Word(N_("List"), "queue"),
    "carousel": Word(N_("Carousel"), "queue"),
    "catalog": Word(N_("Catalog"), "tag"),
    "product": Word(N_("Product"), "tag"),
    "order": Word(N_("Order"), "tag"),
    "order-payment-update": Word(N_("Order: payment"), "tag"),
    "order-status-update": Word(N_("Order: state"), "tag"),
    "event": Word(N_("Event"), "calendar"),
    "edit-event": Word(N_("Event, edited"), "calendar"),
    "event-response": Word(N_("Answer to an event"), "calendar"),
    "call": Word(N_("Call"), "phone"),
    "text-status": Word(N_("Status: text"), "megaphone"),
    "image-status": Word(N_("Status: picture"), "megaphone"),
    "video-status": Word(N_("Status: video"), "megaphone"),
    "audio-status": Word(N_("Status: audio"), "megaphone"),
    "newsletter-admin-invite": Word(N_("Invitation to a channel"), "megaphone"),
    "forward-message": Word(N_("Forwarded message"), "right"),
    "pin-message": Word(N_("Pinned message"), "up-down"),
    "reply-button": Word(N_("Answer to a button"), "check"),
    "reply-template-button": Word(N_("Answer to a button"), "check"),
    "reply-status-text": Word(N_("Answer to a status"), "message"),
    "reply-status-gif": Word(N_("Answer to a status"), "image"),
    "reply-status-sticker": Word(N_("Answer to a status"), "image"),
}
STATES: Final[Mapping[str, Word]] = {
    "pending": Word(N_("Waiting"), "clock", "wait"),
    "scheduled": Word(N_("Scheduled"), "calendar", "wait"),
    "processing": Word(N_("Next one"), "send", "wait"),
    "retrying": Word(N_("Trying again"), "refresh", "warn"),
    "sent": Word(N_("Sent"), "check", "ok"),
    "delivered": Word(N_("Delivered"), "check-circle", "ok"),
    "read": Word(N_("Read"), "check-circle", "ok"),
    "played": Word(N_("Played"), "check-circle", "ok"),
    "failed": Word(N_("Could not be sent"), "x", "bad"),
    "canceled": Word(N_("Canceled"), "x-circle"),
    "received": Word(N_("Received"), "down"),
}
LANES: Final[Mapping[str, str]] = {
    "high": N_("Urgent"),
    "normal": N_("Normal"),
    "bulk": N_("Bulk"),
}
_PLAIN_REASONS: Final[Mapping[WaitingCode, str]] = {
    "paused": N_("Sending is paused."),
    "disconnected": N_("The phone is not connected."),
    "file": N_("Its file is being fetched."),
    "chat": N_("Behind an earlier message to the same person, which waits."),
    "held": N_("Waits until you confirm the phone that was linked."),
    "lane": N_("First in its lane. More urgent ones go first."),
}
_TIMED_REASONS: Final[Mapping[WaitingCode, str]] = {
    "scheduled": N_("Scheduled for %(time)s."),
    "held": N_("WhatsApp limits this number until %(time)s."),
    "first_contact": N_("WhatsApp allows no new conversations until %(time)s. Replies go on."),
    "daily_limit": N_("The limit of the day is reached. Goes on at %(time)s."),
    "retry": N_("The last attempt failed. Tries again at %(time)s."),
    "pacing": N_("The next one. A short pause until %(time)s."),
    "turn": N_("Behind a message that is tried again at %(time)s."),
}
_WITH_SECONDS: Final = frozenset({"pacing", "retry", "turn"})


class Waiting(Protocol):
    """What says why a message waits."""

    @property
    def waiting_for(self) -> WaitingCode | None: ...
    @property
    def waiting_until(self) -> datetime | None: ...
    @property
    def messages_before(self) -> int | None: ...
    @property
    def waiting_reason(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class MessageWords:
    """Says things about messages in the language and time zone of a visit; templates use it."""

    visit: Visit

    def kind(self, name: str) -> str:
        """Returns what a message is; the name itself for a kind without a word."""
        word = KINDS.get(name.removeprefix("send-"))
        return self.visit.gettext(word.label) if word else name

    def kind_icon(self, name: str) -> str:
        word = KINDS.get(name.removeprefix("send-"))
        return word.icon if word else "message"

    def status(self, name: str) -> str:
        word = STATES.get(name)
        return self.visit.gettext(word.label) if word else name

    def status_icon(self, name: str) -> str:
        return STATES[name].icon if name in STATES else "dot"

    def tone(self, status: str) -> Tone:
        return STATES[status].tone if status in STATES else "plain"

    def lane(self, name: str) -> str:
        return self.visit.gettext(LANES[name])

    def chat(self, name: str) -> str:
        """Returns the name of a chat as people read it: +5511999999999, or what kind it is."""
        if is_group(name):
            return self.visit.gettext("Group %(id)s", id=name.removesuffix("-group"))
        if name == _STATUS_CHAT:
            return self.visit.gettext("Your status")
        return f"+{name}" if is_phone(name) else name

    def moment(self, at: datetime, *, seconds: bool = False) -> str:
        """Returns the time of a day, with the day where that is not today."""
        zone, locale = self.visit.zone, locale_of(self.visit.language)
        today = self.visit.context.clock.now().astimezone(zone).date()
        if at.astimezone(zone).date() != today:
            return format_datetime(at, "medium", tzinfo=zone, locale=locale)
        return format_time(at, "medium" if seconds else "short", tzinfo=zone, locale=locale)

    def reason(self, message: Waiting) -> str:
        """Returns in one sentence why a message waits; empty while it is being sent."""
        code, until = message.waiting_for, message.waiting_until
        if code is None:
            return ""
        if until is not None and code in _TIMED_REASONS:
            time = self.moment(until, seconds=code in _WITH_SECONDS)
            return self.visit.gettext(_TIMED_REASONS[code], time=time)
        if code in _PLAIN_REASONS:
            return self.visit.gettext(_PLAIN_REASONS[code])
        if message.messages_before is None:
            return message.waiting_reason or ""
        return self._turn(message.messages_before)

    def _turn(self, before: int) -> str:
        if not before:
            return self.visit.gettext("The next one.")
        if before >= MANY_BEFORE:
            return self.visit.gettext("After more than a thousand others.")
        return self.visit.ngettext(
            "After %(num)s other message.", "After %(num)s other messages.", before
        )
