"""Answers to a received message with buttons or options, as if a person had tapped one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.limits import Limit
from gateway.contract.send import MessageId, OutgoingMessage

_MESSAGE: Example = {"phone": "5511999999999", "messageId": "3EB0577D10A2B4C6D8E9F1"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A button or an option that a received message offers; `index` is its place in its row."""

    kind: Literal["button", "option", "template"]
    id: str
    label: str
    index: int
    description: str | None = None


def choice_in(content: Mapping[str, Any], choice_id: str) -> Choice | None:
    """Returns what a message with this content offers under an id; None if it offers no such."""
    found = (choice for choice in _choices(content) if choice.id == choice_id)
    return next(found, None)


def _choices(content: Mapping[str, Any]) -> Iterator[Choice]:
    for index, button in enumerate(content.get("buttonsMessage", {}).get("buttons", ())):
        label = button.get("buttonText", {}).get("displayText", "")
        yield Choice("button", button["buttonId"], label, index)
    for section in content.get("listMessage", {}).get("sections", ()):
        for index, row in enumerate(section.get("options", ())):
            yield Choice(
                "option", row.get("rowId", ""), row["title"], index, row.get("description")
            )
    cards = content.get("carouselMessage", {}).get("cards", ())
    for template in (content.get("hydratedTemplate", {}), *cards):
        for button in template.get("hydratedButtons", ()):
            if reply := button.get("quickReplyButton"):
                yield Choice("template", reply["id"], reply["displayText"], button.get("index", 0))


class ButtonReply(OutgoingMessage):
    """Answers a received message with one of the choices that it offers."""

    message_id: MessageId = Field(description="the received message with the button")
    limits: ClassVar[tuple[Limit, ...]] = ()

    @property
    def choice_id(self) -> str:
        raise NotImplementedError

    def referred_ids(self) -> tuple[str, ...]:
        return (self.message_id,)

    def replied_id(self) -> str | None:
        return self.message_id

    def echo(self, context: EchoContext) -> Content | None:
        offered = context.referred.get(self.message_id)
        choice = choice_in(offered.payload, self.choice_id) if offered else None
        label = choice.label if choice else ""
        return {"buttonsResponseMessage": {"buttonId": self.choice_id, "message": label}}


class TapButton(ButtonReply, path="/reply-button"):
    """Answers a received message as if its button, or an option of its list, had been tapped.

    The message fails if the received one offers nothing under this id.
    """

    unconfirmed = ("/reply-button",)
    response_button_id: MessageId = Field(description="the id of the button or option")

    example: ClassVar[Example] = {**_MESSAGE, "responseButtonId": "1"}

    @property
    def choice_id(self) -> str:
        return self.response_button_id


class TapTemplateButton(ButtonReply, path="/reply-template-button"):
    """Answers a received message as if its button of the type REPLY had been tapped.

    The message fails if the received one offers nothing under this id.
    """

    unconfirmed = ("/reply-template-button",)
    response_template_button_id: MessageId = Field(description="the id of the button")

    example: ClassVar[Example] = {**_MESSAGE, "responseTemplateButtonId": "1"}

    @property
    def choice_id(self) -> str:
        return self.response_template_button_id
