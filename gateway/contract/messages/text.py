"""Texts."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from gateway.contract.documented import Example
from gateway.contract.send import Send
from gateway.contract.wire import Chat, Incoming

_LONGEST_TEXT = 65_536  # WhatsApp's own limit, in characters


def _unfold_lines(value: object) -> object:
    """Z-API takes %0a for a line break, as clients that build URLs write it."""
    if isinstance(value, str) and "%" in value:
        return value.replace("%0a", "\n").replace("%0A", "\n")
    return value


Text = Annotated[str, Field(min_length=1, max_length=_LONGEST_TEXT), BeforeValidator(_unfold_lines)]


class MentionedGroup(Incoming):
    """A group of the same community, named in the text."""

    phone: Chat
    subject: str


class TextMessage(Send):
    """A message whose body is text."""

    message: Text

    def readable_text(self) -> str | None:
        return self.message


class SendText(TextMessage, path="/send-text"):
    """Sends a text; with `messageId` it replies, with `editMessageId` it edits."""

    message_id: str | None = None
    private_answer: bool = False
    edit_message_id: str | None = None
    mentioned: tuple[Chat, ...] = ()
    group_mentioned: tuple[MentionedGroup, ...] = ()

    example_minimal: ClassVar[Example] = {"phone": "5511999999999", "message": "Hello"}
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Hello, *Ana*! @5511988888888 joins us at noon.",
        "delayMessage": 1,
        "delayTyping": 1,
        "priority": "high",
        "mentioned": ["5511988888888"],
    }

    def referred_ids(self) -> tuple[str, ...]:
        return tuple(i for i in (self.message_id, self.edit_message_id) if i)
