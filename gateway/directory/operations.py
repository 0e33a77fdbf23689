"""All handlers of this package."""

from gateway.directory import chats, contacts, known_people, tags

handlers = contacts.handlers | chats.handlers | tags.handlers | known_people.handlers
