"""All handlers of this package."""

from gateway.directory import chats, contacts, tags

handlers = contacts.handlers | chats.handlers | tags.handlers
