"""Buttons, lists and templates, and the answers to them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from gateway.contract.callbacks.base import Example
from gateway.contract.callbacks.media import DocumentContent, ImageContent, VideoContent
from gateway.contract.callbacks.messages import LocationContent
from gateway.contract.callbacks.received import FILE, MessageCallback
from gateway.contract.wire import Wire

_SHOWN_IMAGE: Example = {
    "imageUrl": FILE,
    "thumbnailUrl": FILE,
    "caption": "",
    "mimeType": "image/jpeg",
    "viewOnce": False,
    "width": 1600,
    "height": 926,
}


class UrlButton(Wire):
    """Opens a page, or copies a code."""

    display_text: str
    url: str


class QuickReplyButton(Wire):
    """Answers with its id."""

    display_text: str
    id: str


class CallButton(Wire):
    """Calls a number."""

    display_text: str
    phone_number: str


class TemplateButton(Wire):
    """Exactly one of the three, at its place."""

    index: int
    url_button: UrlButton | None = None
    quick_reply_button: QuickReplyButton | None = None
    call_button: CallButton | None = None


class TemplateHeader(Wire):
    """At most one of the four."""

    image: ImageContent | None = None
    video: VideoContent | None = None
    document: DocumentContent | None = None
    location: LocationContent | None = None


class TemplateContent(Wire):
    """A message of a business, with a header and buttons."""

    header: TemplateHeader = TemplateHeader()
    message: str
    footer: str = ""
    title: str = ""
    template_id: str = ""
    hydrated_buttons: tuple[TemplateButton, ...] = ()


def _template(header: Example, **fields: Any) -> Example:  # noqa: ANN401 - JSON is what it is
    return {
        "hydratedTemplate": {
            "header": header,
            "message": "Your order is on its way",
            "footer": "Thank you",
            "title": "Order",
            "templateId": "790118069824606",
            "hydratedButtons": [],
            **fields,
        }
    }


class TemplateReceived(MessageCallback):
    """A template."""

    hydrated_template: TemplateContent

    variants: ClassVar[Mapping[str, Example]] = {
        "template-text": _template({}),
        "template-otp": _template(
            {},
            footer="",
            title="",
            templateId="",
            hydratedButtons=[
                {
                    "index": 0,
                    "urlButton": {
                        "displayText": "Copy code",
                        "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp123",
                    },
                }
            ],
        ),
        "template-image": _template({"image": _SHOWN_IMAGE}),
        "template-video": _template(
            {
                "video": {
                    "videoUrl": FILE,
                    "caption": "",
                    "mimeType": "video/mp4",
                    "width": 0,
                    "height": 0,
                    "seconds": 0,
                    "viewOnce": False,
                }
            }
        ),
        "template-document": _template(
            {
                "document": {
                    "documentUrl": FILE,
                    "mimeType": "application/pdf",
                    "title": "",
                    "pageCount": 0,
                    "fileName": "",
                }
            }
        ),
        "template-location": _template(
            {
                "location": {
                    "longitude": -46.6388,
                    "latitude": -23.5489,
                    "name": "The shop",
                    "address": "Praca da Se",
                    "url": "",
                }
            }
        ),
    }


class ButtonText(Wire):
    """The label of a button."""

    display_text: str


class Button(Wire):
    """A simple button; its `type` is 1."""

    button_id: str
    type: int = 1
    button_text: ButtonText


class ButtonsContent(Wire):
    """At most one picture or video above the text."""

    image_url: str | None = None
    video_url: str | None = None
    download_error: str | None = None
    message: str
    buttons: tuple[Button, ...]


_BUTTONS: Example = {
    "message": "Do you come?",
    "buttons": [
        {"buttonId": "1", "type": 1, "buttonText": {"displayText": "Yes"}},
        {"buttonId": "2", "type": 1, "buttonText": {"displayText": "No"}},
    ],
}


class ButtonsReceived(MessageCallback):
    """A message with simple buttons."""

    buttons_message: ButtonsContent

    variants: ClassVar[Mapping[str, Example]] = {
        "buttons-image": {"buttonsMessage": {"imageUrl": FILE, **_BUTTONS}},
        "buttons-video": {"buttonsMessage": {"videoUrl": FILE, **_BUTTONS}},
    }


class ButtonsResponseContent(Wire):
    """The clicked button and its label."""

    button_id: str
    message: str


class ButtonsResponseReceived(MessageCallback):
    """A click on a simple button of the message `referenceMessageId`."""

    buttons_response_message: ButtonsResponseContent

    variants: ClassVar[Mapping[str, Example]] = {
        "buttons-response": {
            "referenceMessageId": "3EB0796DC6B777C0C7CD",
            "buttonsResponseMessage": {"buttonId": "1", "message": "Yes"},
        }
    }


class ListRow(Wire):
    """One choice."""

    title: str
    description: str | None = None
    row_id: str | None = None


class ListSection(Wire):
    """Choices under one heading."""

    title: str | None = None
    options: tuple[ListRow, ...] = ()


class ListContent(Wire):
    """An option list. Z-API does not document this content; the keys are an extension."""

    title: str | None = None
    description: str | None = None
    footer_text: str | None = None
    button_text: str | None = None
    sections: tuple[ListSection, ...] = ()


class ListReceived(MessageCallback):
    """An option list."""

    list_message: ListContent

    variants: ClassVar[Mapping[str, Example]] = {
        "option-list": {
            "listMessage": {
                "title": "Sizes",
                "description": "Which size?",
                "buttonText": "Show",
                "sections": [
                    {
                        "title": "Sizes",
                        "options": [{"title": "Small", "description": "S", "rowId": "1"}],
                    }
                ],
            }
        }
    }


class ListResponseContent(Wire):
    """`selectedRowId` is the id the option was sent with."""

    message: str
    title: str
    selected_row_id: str


class ListResponseReceived(MessageCallback):
    """A choice in the option list `referenceMessageId`."""

    list_response_message: ListResponseContent

    variants: ClassVar[Mapping[str, Example]] = {
        "list-response": {
            "referenceMessageId": "3EB0796DC6B777C0C7CD",
            "listResponseMessage": {"message": "S", "title": "Small", "selectedRowId": "1"},
        }
    }


class ReceivedCarouselCard(Wire):
    """A card is a small template."""

    header: TemplateHeader
    message: str
    footer: str = ""
    title: str = ""
    hydrated_buttons: tuple[TemplateButton, ...] = ()


class CarouselContent(Wire):
    """Cards below a text."""

    text: str
    cards: tuple[ReceivedCarouselCard, ...]


class CarouselReceived(MessageCallback):
    """A carousel."""

    carousel_message: CarouselContent

    variants: ClassVar[Mapping[str, Example]] = {
        "carousel": {
            "fromMe": True,
            "fromApi": True,
            "status": "SENT",
            "carouselMessage": {
                "text": "Our offers",
                "cards": [
                    {
                        "header": {"image": _SHOWN_IMAGE},
                        "message": message,
                        "footer": "",
                        "title": "",
                        "hydratedButtons": [
                            {
                                "index": 0,
                                "urlButton": {
                                    "displayText": "Look",
                                    "url": "https://example.com/offer",
                                },
                            },
                            {
                                "index": 1,
                                "quickReplyButton": {"displayText": "Buy", "id": "2"},
                            },
                        ],
                    }
                    for message in ("Shoes", "Hats")
                ],
            },
        }
    }
