"""Texts and links."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.known import KnownMessage, assumed_own
from gateway.contract.limits import Limit, max_items
from gateway.contract.media import SOURCE, MediaField
from gateway.contract.send import NoMessageId, OutgoingMessage, Reply
from gateway.contract.spellings import is_group
from gateway.contract.urls import UNWRAPPED, WrittenUrl
from gateway.contract.whatsapp_limits import MAX_GROUP_MEMBERS, MAX_TEXT_LENGTH
from gateway.contract.wire import Chat, Incoming

_MAX_CARD_PICTURE_BYTES = 16 * 1024 * 1024


_LINE_BREAK = re.compile(
    r"(https?://(?:(?!%0[ad])[^\s/?#])+(?:[/?#]\S*)?)|%0d%0a|%0[ad]", re.IGNORECASE
)
"""A link, which keeps what is escaped in it, or an escaped line break; no host name holds one."""


def _unfold_lines(value: object) -> object:
    """Reads %0a, %0d%0a and %0d as a line break, as Z-API does for clients that build URLs.

    A link keeps them: there they are part of the address.
    """
    if isinstance(value, str) and "%" in value:
        return _LINE_BREAK.sub(lambda found: found[1] or "\n", value)
    return value


MessageText = Annotated[
    str, Field(min_length=1, max_length=MAX_TEXT_LENGTH), BeforeValidator(_unfold_lines)
]

Label = Annotated[str, Field(min_length=1, max_length=1_024)]
"""A short text, such as a title or a name."""

LinkText = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_LENGTH)]
"""A link; signed ones are long."""


class MentionedGroup(Incoming):
    """A group of the same community, named in the text."""

    phone: Chat
    subject: str


class TextMessage(OutgoingMessage):
    """A message whose body is text."""

    message: MessageText

    def readable_text(self) -> str | None:
        return self.message

    def echo(self, _context: EchoContext) -> Content | None:
        return {"text": {"message": self.message}}


class SendText(TextMessage, Reply, path="/send-text"):
    """Sends a text; with `messageId` it replies, with `editMessageId` it edits."""

    private_answer: bool = Field(
        default=False, description="answers a message of a group in the chat with who wrote it"
    )
    edit_message_id: NoMessageId = Field(None, description="the message whose text it replaces")
    mentioned: tuple[Chat, ...] = ()
    mention_all: bool = Field(
        default=False,
        description="in a group, mentions everyone in it",
        validation_alias=AliasChoices("mentionAll", "mentionedAll"),
        exclude_if=lambda value: not value,
    )
    group_mentioned: tuple[MentionedGroup, ...] = ()
    number_fields: ClassVar[tuple[str, ...]] = ("phone", "mentioned", "participant_phone")
    unconfirmed = ("mentionAll",)

    example_minimal: ClassVar[Example] = {"phone": "5511999999999", "message": "Hello"}
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Hello, *Ana*! @5511988888888 joins us at noon.",
        "delayMessage": 1,
        "delayTyping": 1,
        "expiresIn": 3600,
        "priority": "high",
        "trackId": "order 1042",
        "mentioned": ["5511988888888"],
    }
    limits: ClassVar[tuple[Limit, ...]] = (
        max_items("mentioned", MAX_GROUP_MEMBERS),
        max_items("group_mentioned", MAX_GROUP_MEMBERS),
    )

    def referred_ids(self) -> tuple[str, ...]:
        return (*super().referred_ids(), *filter(None, (self.edit_message_id,)))

    def edited_id(self) -> str | None:
        return self.edit_message_id

    def assumed(self, message_id: str) -> KnownMessage | None:
        if message_id == self.edit_message_id:  # WhatsApp lets a number edit only its own
            return assumed_own(message_id, self.phone, kind=self.kind())
        return super().assumed(message_id)

    def without_quote(self) -> Self | None:
        """None for a private answer in a group: it goes to who wrote the quoted message."""
        return None if self.private_answer and is_group(self.phone) else super().without_quote()

    def with_numbers(self, numbers: Mapping[str, str]) -> Self:
        """Changes the mentions in the text too: WhatsApp shows a name where both are alike."""
        changed = super().with_numbers(numbers)
        text = self.message
        for given in self.mentioned:
            text = text.replace(f"@{given}", f"@{numbers.get(given, given)}")
        return changed if text == self.message else changed.model_copy(update={"message": text})


def _is_link(text: str) -> bool:
    """Whether it names a host; as in a chat, the scheme may be missing."""
    text = text.strip()
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return False
    return bool(host.strip(".")) and host.isprintable() and " " not in host


CardPicture = Annotated[
    WrittenUrl, SOURCE, MediaField("thumbnail", limit_bytes=_MAX_CARD_PICTURE_BYTES)
]


class SendLink(OutgoingMessage, path="/send-link"):
    """Sends a text with a card that shows where its link leads.

    Missing parts of the card are read from the page. WhatsApp shows the card if the text contains
    the link. A card whose picture cannot be read is sent without it.
    """

    message: MessageText
    link_url: Annotated[LinkText, UNWRAPPED]
    image: CardPicture | None = Field(None, validation_alias=AliasChoices("image", "linkImage"))
    title: str | None = Field(None, validation_alias=AliasChoices("title", "linkTitle"))
    link_description: str | None = None
    link_type: Annotated[Literal["SMALL", "MEDIUM", "LARGE"], ANY_CASE] = "SMALL"

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "See https://example.com",
        "linkUrl": "https://example.com",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "image": "https://example.com/image.png",
        "title": "Example",
        "linkDescription": "An example site",
        "linkType": "LARGE",
        "delayMessage": 1,
        "delayTyping": 1,
    }
    limits: ClassVar[tuple[Limit, ...]] = (
        Limit("link_url", "must be a URL, such as https://example.com", _is_link),
    )

    def readable_text(self) -> str | None:
        return self.message

    def link_to_preview(self) -> str | None:
        complete = self.image and self.title and self.link_description
        return None if complete else self.link_url

    def echo(self, context: EchoContext) -> Content | None:
        return {
            "text": {
                "message": self.message,
                "descritpion": self.link_description,
                "title": self.title,
                "url": self.link_url,
                "thumbnailUrl": context.url_of(self.image),
            }
        }
