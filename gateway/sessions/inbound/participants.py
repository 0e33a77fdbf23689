"""Who wrote where: the people of an event under both their names."""

from dataclasses import dataclass

from gateway.contract.wire import STATUS_BROADCAST, is_group
from gateway.identities.people import Person, person, recognise
from gateway.sessions.inbound.event_context import EventContext

_OF_MANY = ("@newsletter", "-broadcast", STATUS_BROADCAST)


@dataclass(frozen=True, slots=True)
class RawParticipants:
    """Where something happened and whose doing it was, as an event tells it."""

    chat: str
    chat_lid: str | None
    chat_name: str | None
    sender: str | None
    sender_lid: str | None
    sender_name: str | None
    from_me: bool

    @property
    def is_private(self) -> bool:
        return not is_group(self.chat) and not self.chat.endswith(_OF_MANY)


@dataclass(frozen=True, slots=True)
class Participants:
    """The same, as callers name it; a participant only where there are several."""

    chat: str
    chat_lid: str | None
    chat_name: str | None
    sender: Person
    participant: Person


async def participants(context: EventContext, scene: RawParticipants) -> Participants:
    """Names everybody by all that is known of them, and remembers what is new."""
    told = [_author(context, scene)]
    if scene.is_private and scene.from_me:
        told.append(person(scene.chat, scene.chat_lid))
    people = await recognise(context.connection, context.instance.id, told)
    author = _named(people[0])
    if not scene.is_private:
        return Participants(scene.chat, scene.chat_lid, scene.chat_name, author, author)
    other = people[-1]
    name = scene.chat_name or other.name or other.chat
    return Participants(other.chat or scene.chat, other.lid, name, author, Person())


def _author(context: EventContext, scene: RawParticipants) -> Person:
    name = scene.sender_name
    if scene.is_private and not scene.from_me:  # whoever wrote is the chat: its names are theirs
        named = {scene.chat, scene.chat_lid, scene.sender, scene.sender_lid} - {None}
        lids = [each for each in named if each and each.endswith("@lid")]
        phones = [each for each in named if each and not each.endswith("@lid")]
        return Person(next(iter(lids), None), next(iter(phones), None), name)
    sender = scene.sender or (context.own_phone if scene.from_me else None)
    if sender == scene.chat:  # a channel writes itself
        return Person(name=name or scene.chat_name)
    return person(sender, scene.sender_lid, name) if sender else Person(scene.sender_lid, name=name)


def _named(somebody: Person) -> Person:
    """Z-API shows the number of whoever has no name."""
    return Person(somebody.lid, somebody.phone, somebody.name or somebody.chat)
