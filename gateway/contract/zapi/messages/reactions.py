"""Reactions: an emoji on a message, and its removal."""

from typing import Annotated, ClassVar

from pydantic import Field

from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.limits import Limit, rule
from gateway.contract.send import AboutMessage, MessageId

_MAX_EMOJI_LENGTH = 64  # a family of four with skin tones has 11 characters


class Reaction(AboutMessage):
    """Replaces the reaction of the instance to a message."""

    message_id: MessageId

    @property
    def emoji(self) -> str:
        """The reaction; empty to remove it."""
        raise NotImplementedError

    def referred_ids(self) -> tuple[str, ...]:
        return (self.message_id,)

    def readable_text(self) -> str | None:
        return self.emoji or None

    def echo(self, context: EchoContext) -> Content | None:
        return {
            "reaction": {
                "value": self.emoji,
                "time": context.at_ms,
                "referencedMessage": context.reference_to(self.message_id, self.phone),
            }
        }


class SendReaction(Reaction, path="/send-reaction"):
    """Reacts to a message with an emoji."""

    reaction: Annotated[str, Field(min_length=1, max_length=_MAX_EMOJI_LENGTH)]

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "reaction": "\u2764\ufe0f",
        "messageId": "3EB0577D10A2B4C6D8E9F1",
    }
    example: ClassVar[Example] = {**example_minimal, "delayMessage": 1}
    limits: ClassVar[tuple[Limit, ...]] = (
        rule("reaction", "must be an emoji", lambda message: not message.reaction.isascii()),
    )

    @property
    def emoji(self) -> str:
        return self.reaction


class SendRemoveReaction(Reaction, path="/send-remove-reaction"):
    """Removes the reaction of the instance to a message."""

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "messageId": "3EB0577D10A2B4C6D8E9F1",
    }
    example: ClassVar[Example] = {**example_minimal, "delayMessage": 1}
    limits: ClassVar[tuple[Limit, ...]] = ()

    @property
    def emoji(self) -> str:
        return ""
