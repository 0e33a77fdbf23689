"""Messages that a person answers with a tap: buttons, option lists, carousels."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.contract import whatsapp_limits as whatsapp
from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.limits import Limit, distinct, max_characters, max_items, rule
from gateway.contract.media import Image, Video
from gateway.contract.send import OutgoingMessage
from gateway.contract.spellings import is_group
from gateway.contract.wire import Incoming
from gateway.contract.zapi.messages.buttons import (
    ActionButtons,
    ReplyButton,
    Tappable,
    echoed,
    numbered,
)
from gateway.contract.zapi.messages.text import Label, MessageText

_ONE = Field(min_length=1)


class InteractiveMessage(OutgoingMessage):
    """A text with something to tap."""

    message: MessageText

    def readable_text(self) -> str | None:
        return self.message


class SendButtonActions(InteractiveMessage, path="/send-button-actions"):
    """Sends a text with buttons that call, open a page or answer.

    WhatsApp Web does not show answers beside buttons of another type.
    """

    title: str | None = None
    footer: str | None = None
    button_actions: Annotated[ActionButtons, _ONE]

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "How can we help?",
        "buttonActions": [{"type": "REPLY", "label": "Talk to us"}],
    }
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "How can we help?",
        "title": "Support",
        "footer": "Monday to Friday",
        "buttonActions": [
            {"id": "1", "type": "CALL", "phone": "554498398733", "label": "Call us"},
            {"id": "2", "type": "URL", "url": "https://example.com", "label": "Visit us"},
        ],
        "delayMessage": 1,
    }
    limits: ClassVar[tuple[Limit, ...]] = (
        max_characters("message", whatsapp.MAX_BODY_LENGTH),
        max_characters("title", whatsapp.MAX_HEADING_LENGTH),
        max_characters("footer", whatsapp.MAX_HEADING_LENGTH),
        max_items("button_actions", whatsapp.MAX_BUTTONS),
        max_characters("button_actions[].label", whatsapp.MAX_BUTTON_LABEL_LENGTH),
        distinct("button_actions", "id"),
    )

    def echo(self, _context: EchoContext) -> Content | None:
        return {
            "hydratedTemplate": {
                "header": {},
                "message": self.message,
                "footer": self.footer or "",
                "title": self.title or "",
                "templateId": "",
                "hydratedButtons": echoed(self.button_actions),
            }
        }


class ButtonList(Incoming):
    """The buttons, and a picture or a video above the text."""

    buttons: Annotated[tuple[ReplyButton, ...], _ONE, AfterValidator(numbered)]
    image: Image | None = None
    video: Video | None = None

    @model_validator(mode="after")
    def _one_header(self) -> "ButtonList":
        if self.image and self.video:
            raise PydanticCustomError("one_header", "takes an image or a video, not both")
        return self


class SendButtonList(InteractiveMessage, path="/send-button-list"):
    """Sends a text, an image or a video with buttons that answer."""

    button_list: ButtonList

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Do you like it?",
        "buttonList": {"buttons": [{"label": "Great"}]},
    }
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Do you like it?",
        "buttonList": {
            "image": "https://example.com/image.png",
            "buttons": [{"id": "1", "label": "Great"}, {"id": "2", "label": "Excellent"}],
        },
        "delayMessage": 1,
    }
    limits: ClassVar[tuple[Limit, ...]] = (
        max_characters("message", whatsapp.MAX_BODY_LENGTH),
        max_items("button_list.buttons", whatsapp.MAX_BUTTONS),
        max_characters("button_list.buttons[].label", whatsapp.MAX_BUTTON_LABEL_LENGTH),
        distinct("button_list.buttons", "id"),
    )

    def echo(self, context: EchoContext) -> Content | None:
        return {
            "buttonsMessage": {
                "imageUrl": context.url_of(self.button_list.image),
                "videoUrl": context.url_of(self.button_list.video),
                "message": self.message,
                "buttons": [
                    {"buttonId": button.id, "type": 1, "buttonText": {"displayText": button.label}}
                    for button in self.button_list.buttons
                ],
            }
        }


class Option(Tappable):
    """A row of a list."""

    title: Label
    description: str | None = None


class OptionList(Incoming):
    """The list and the button that opens it."""

    title: Label
    button_label: Label
    options: Annotated[tuple[Option, ...], _ONE, AfterValidator(numbered)]


class SendOptionList(InteractiveMessage, path="/send-option-list"):
    """Sends a text with a list of options to choose one from; not in groups."""

    option_list: OptionList

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Choose an option:",
        "optionList": {
            "title": "Available options",
            "buttonLabel": "Open list",
            "options": [{"title": "Option 1", "description": "The first one"}],
        },
    }
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Choose an option:",
        "optionList": {
            "title": "Available options",
            "buttonLabel": "Open list",
            "options": [
                {"id": "1", "title": "Option 1", "description": "The first one"},
                {"id": "2", "title": "Option 2", "description": "The second one"},
            ],
        },
        "delayMessage": 1,
    }
    limits: ClassVar[tuple[Limit, ...]] = (
        rule("phone", "must not be a group", lambda message: not is_group(message.phone)),
        max_characters("message", whatsapp.MAX_LIST_BODY_LENGTH),
        max_characters("option_list.title", whatsapp.MAX_HEADING_LENGTH),
        max_characters("option_list.button_label", whatsapp.MAX_LIST_BUTTON_LENGTH),
        max_items("option_list.options", whatsapp.MAX_LIST_ROWS),
        max_characters("option_list.options[].title", whatsapp.MAX_ROW_TITLE_LENGTH),
        max_characters("option_list.options[].description", whatsapp.MAX_ROW_DESCRIPTION_LENGTH),
        distinct("option_list.options", "id"),
    )

    def echo(self, _context: EchoContext) -> Content | None:
        rows = [
            {"title": option.title, "description": option.description, "rowId": option.id}
            for option in self.option_list.options
        ]
        return {
            "listMessage": {
                "title": self.option_list.title,
                "description": self.message,
                "buttonText": self.option_list.button_label,
                "sections": [{"options": rows}],
            }
        }


_COPY_CODE_URL = "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp"


class SendButtonOtp(InteractiveMessage, path="/send-button-otp"):
    """Sends a text with a button that copies a code."""

    code: Label
    image: Image | None = None
    button_text: Label = "Copiar c\u00f3digo"

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "Your code",
        "code": "123456",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "image": "https://example.com/image.png",
        "buttonText": "Copy code",
    }
    limits: ClassVar[tuple[Limit, ...]] = (
        max_characters("message", whatsapp.MAX_BODY_LENGTH),
        max_characters("code", whatsapp.MAX_CODE_LENGTH),
        max_characters("button_text", whatsapp.MAX_BUTTON_LABEL_LENGTH),
    )

    def echo(self, context: EchoContext) -> Content | None:
        image = context.file_content("image", self.image) if self.image else {}
        button = {"displayText": self.button_text, "url": f"{_COPY_CODE_URL}{self.code}"}
        return {
            "hydratedTemplate": {
                "header": image,
                "message": self.message,
                "footer": "",
                "title": "",
                "templateId": "",
                "hydratedButtons": [{"index": 0, "urlButton": button}],
            }
        }


def _pix_where_empty(title: str) -> str:
    return title or "Pix"


class SendButtonPix(OutgoingMessage, path="/send-button-pix"):
    """Sends a Pix key with a button that copies it."""

    pix_key: Label
    type: Annotated[Literal["CPF", "CNPJ", "PHONE", "EMAIL", "EVP"], ANY_CASE]
    merchant_name: Annotated[str, AfterValidator(_pix_where_empty)] = "Pix"

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "pixKey": "00000000-0000-0000-0000-000000000000",
        "type": "EVP",
    }
    example: ClassVar[Example] = {**example_minimal, "merchantName": "Example Store"}
    limits: ClassVar[tuple[Limit, ...]] = ()

    def readable_text(self) -> str | None:
        return self.merchant_name

    def echo(self, _context: EchoContext) -> Content | None:
        return {
            "pixKeyMessage": {
                "currency": "BRL",
                "referenceId": "",
                "key": self.pix_key,
                "keyType": self.type,
                "merchantName": self.merchant_name,
            }
        }


class CarouselCard(Incoming):
    """A picture, a text and buttons."""

    text: MessageText
    image: Image
    buttons: ActionButtons = ()


class SendCarousel(InteractiveMessage, path="/send-carousel"):
    """Sends a text above cards to swipe through."""

    carousel: Annotated[tuple[CarouselCard, ...], _ONE]

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "New this week",
        "carousel": [
            {"text": "Red", "image": "https://example.com/red.png"},
            {"text": "Blue", "image": "https://example.com/blue.png"},
        ],
    }
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "message": "New this week",
        "carousel": [
            {
                "text": "Red",
                "image": "https://example.com/red.png",
                "buttons": [
                    {"id": "1", "type": "URL", "url": "https://example.com", "label": "Open"},
                    {"id": "2", "type": "REPLY", "label": "I want it"},
                ],
            },
            {
                "text": "Blue",
                "image": "https://example.com/blue.png",
                "buttons": [
                    {"id": "3", "type": "CALL", "phone": "554498398733", "label": "Call us"},
                    {"id": "4", "type": "REPLY", "label": "I want it"},
                ],
            },
        ],
        "delayMessage": 1,
    }
    limits: ClassVar[tuple[Limit, ...]] = (
        max_characters("message", whatsapp.MAX_BODY_LENGTH),
        max_items("carousel", whatsapp.MAX_CARDS),
        max_characters("carousel[].text", whatsapp.MAX_BODY_LENGTH),
        max_items("carousel[].buttons", whatsapp.MAX_CARD_BUTTONS),
        max_characters("carousel[].buttons[].label", whatsapp.MAX_BUTTON_LABEL_LENGTH),
        distinct("carousel[].buttons", "id"),
    )

    def echo(self, context: EchoContext) -> Content | None:
        cards = [
            {
                "header": context.file_content("image", card.image),
                "message": card.text,
                "footer": "",
                "title": "",
                "hydratedButtons": echoed(card.buttons),
            }
            for card in self.carousel
        ]
        return {"carouselMessage": {"text": self.message, "cards": cards}}
