"""Every operation this package answers."""

from gateway.directory import chats, contacts, tags

handlers = contacts.handlers | chats.handlers | tags.handlers
