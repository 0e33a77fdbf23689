"""Chats as a person looks for them: by name or number, those with unread messages first."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

from gateway.contract.operation import Operation
from gateway.contract.paging import MAX_PAGE, between
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire

_MAX_SEARCH_LENGTH = 100
_MAX_PAGE_SIZE = 100


class FoundChat(Wire):
    """A chat, and its last message.

    `last_text` is what the last message says, null where it says nothing that can be read, and
    `last_type` its type in the history; both are null in a chat without stored messages.
    """

    phone: str
    name: str | None
    unread: int
    last_message_at: datetime
    pinned: bool
    muted: bool
    archived: bool
    is_group: bool
    last_text: str | None = None
    last_type: str | None = None
    last_from_me: bool = False


class ChatPage(Wire):
    """A page of chats, and how many there are, of which `unread` have unread messages."""

    total: int
    unread: int
    chats: tuple[FoundChat, ...]


class SearchChats(Operation[ChatPage]):
    """Finds chats by a part of their name or number.

    Those with unread messages come first, then those that are pinned, then the latest.
    """

    scope = ApiScope.READ

    search: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=_MAX_SEARCH_LENGTH)
    ] = ""
    unread_only: bool = False
    page: Annotated[int, BeforeValidator(between(1, MAX_PAGE))] = 1
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 50
