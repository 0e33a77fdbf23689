"""What people answer with a tap: buttons, lists of options, carousels."""

from typing import Annotated, ClassVar, Literal, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.media import Image, Video
from gateway.contract.send import Send
from gateway.contract.wire import Incoming, Phone
from gateway.contract.zapi.messages.text import Label, Text

_ONE = Field(min_length=1)


def _web_url(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise PydanticCustomError("web_url", "must start with http:// or https://")
    return url


WebUrl = Annotated[Label, AfterValidator(_web_url)]


class Tappable(Incoming):
    """Something to tap; the answer names its id."""

    id: str = Field("", description="its position, where absent")


Item = TypeVar("Item", bound=Tappable)


def _numbered(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(
        item if item.id else item.model_copy(update={"id": str(position)})
        for position, item in enumerate(items, 1)
    )


class ReplyButton(Tappable):
    """Answers with its label."""

    label: Label


class ActionButton(ReplyButton):
    """Calls a number, opens a URL or answers."""

    type: Annotated[Literal["CALL", "URL", "REPLY"], ANY_CASE]
    phone: Phone | None = Field(None, description="of CALL", validate_default=True)
    url: WebUrl | None = Field(
        None,
        description="of URL; https://www.whatsapp.com/otp/code?otp_type=COPY_CODE&code=... copies",
        validate_default=True,
    )

    @field_validator("phone", "url")
    @classmethod
    def _has_what_its_type_needs(cls, value: str | None, info: ValidationInfo) -> str | None:
        needed = {"CALL": "phone", "URL": "url"}.get(info.data.get("type", ""))
        if value is None and info.field_name == needed:
            raise PydanticCustomError("missing", "is required")
        return value

    @property
    def copied_code(self) -> str | None:
        """What it copies, where its URL is one of WhatsApp's that say so."""
        url = urlsplit(self.url or "")
        where = (url.hostname or "").removeprefix("www.") + url.path.rstrip("/")
        if where != "whatsapp.com/otp/code":
            return None
        operation = parse_qs(url.query)
        return (
            operation.get("code", [None])[0] if operation.get("otp_type") == ["COPY_CODE"] else None
        )


ActionButtons = Annotated[tuple[ActionButton, ...], AfterValidator(_numbered)]


class InteractiveMessage(Send):
    """A text with something to tap."""

    message: Text

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


class ButtonList(Incoming):
    """The buttons, and a picture or a video above the text."""

    buttons: Annotated[tuple[ReplyButton, ...], _ONE, AfterValidator(_numbered)]
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


class Option(Tappable):
    """A row of a list."""

    title: Label
    description: str


class OptionList(Incoming):
    """The list and the button that opens it."""

    title: Label
    button_label: Label
    options: Annotated[tuple[Option, ...], _ONE, AfterValidator(_numbered)]


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


def _pix_where_empty(title: str) -> str:
    return title or "Pix"


class SendButtonPix(Send, path="/send-button-pix"):
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

    def readable_text(self) -> str | None:
        return self.merchant_name


class CarouselCard(Incoming):
    """A picture, a text and buttons."""

    text: Text
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
