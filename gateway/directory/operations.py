"""All handlers of this package."""

from gateway.directory import broadcasts, chats, contacts, known_people, tags

handlers = (
    contacts.handlers | chats.handlers | tags.handlers | known_people.handlers | broadcasts.handlers
)
