"""Resolves the chat and the author of an event to people with phone, lid and name."""

from dataclasses import dataclass

from gateway.contract.callbacks import ReceivedCallback
from gateway.contract.spellings import STATUS_BROADCAST, is_group
from gateway.identities.people import Person, person, resolve_people
from gateway.sessions.inbound.event_context import EventContext

_SHARED_CHATS = ("@newsletter", "-broadcast", STATUS_BROADCAST)


@dataclass(frozen=True, slots=True)
class RawParticipants:
    """The chat and the author of an event, as the provider reports them."""

    chat: str
    chat_lid: str | None
    chat_name: str | None
    sender: str | None
    sender_lid: str | None
    sender_name: str | None
    from_me: bool

    @property
    def is_private(self) -> bool:
        return not is_group(self.chat) and not self.chat.endswith(_SHARED_CHATS)


@dataclass(frozen=True, slots=True)
class Participants:
    """The chat and the author, as callbacks name them.

    `participant` is the author in a chat of several people, and empty in a private chat.
    """

    chat: str
    chat_lid: str | None
    chat_name: str | None
    sender: Person
    participant: Person


async def resolve_participants(context: EventContext, raw: RawParticipants) -> Participants:
    """Completes the names of the people of an event, and stores what is new."""
    reported = [_author(context, raw)]
    if raw.is_private and raw.from_me:
        reported.append(person(raw.chat, raw.chat_lid))
    people = await resolve_people(context.connection, context.instance.id, reported)
    author = _with_name(people[0])
    if not raw.is_private:
        return Participants(raw.chat, raw.chat_lid, raw.chat_name, author, author)
    other = people[-1]
    name = raw.chat_name or other.name or other.chat
    return Participants(other.chat or raw.chat, other.lid, name, author, Person())


async def with_pictures(
    context: EventContext, callback: ReceivedCallback, participants: Participants
) -> ReceivedCallback:
    """Returns the callback with the links to pictures that are known and that it does not have."""
    chat, author = participants.chat, participants.sender.chat
    wanted = (None if callback.photo else chat, None if callback.sender_photo else author)
    found = await context.pictures.find(context.connection, wanted)
    links = {
        "photo": callback.photo or found.get(chat),
        "sender_photo": callback.sender_photo or found.get(author or ""),
    }
    return callback.model_copy(update=links)


def _author(context: EventContext, raw: RawParticipants) -> Person:
    name = raw.sender_name
    if raw.is_private and not raw.from_me:
        # The author is the chat, so the names of the chat are the author's too.
        names = {raw.chat, raw.chat_lid, raw.sender, raw.sender_lid} - {None}
        lids = [each for each in names if each and each.endswith("@lid")]
        phones = [each for each in names if each and not each.endswith("@lid")]
        return Person(next(iter(lids), None), next(iter(phones), None), name)
    sender = raw.sender or (context.own_phone if raw.from_me else None)
    if sender == raw.chat:  # the author of a channel's post is the channel
        return Person(name=name or raw.chat_name)
    return person(sender, raw.sender_lid, name) if sender else Person(raw.sender_lid, name=name)


def _with_name(author: Person) -> Person:
    """Z-API shows the number of a person without a name."""
    return Person(author.lid, author.phone, author.name or author.chat)
