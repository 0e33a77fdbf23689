"""All handlers of this package."""

from gateway.directory import broadcasts, chat_search, chats, contacts, known_people, tags

handlers = (
    contacts.handlers
    | chats.handlers
    | chat_search.handlers
    | tags.handlers
    | known_people.handlers
    | broadcasts.handlers
)
