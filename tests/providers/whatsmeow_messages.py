"""One message of each kind, with what its recipient receives."""

from typing import Any

from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.messages.commerce import SendCatalog, SendOrder, SendProduct
from gateway.contract.zapi.messages.interactive import (
    SendButtonActions,
    SendButtonList,
    SendButtonOtp,
    SendButtonPix,
    SendOptionList,
)
from gateway.contract.zapi.messages.media import (
    SendAudio,
    SendDocument,
    SendGif,
    SendImage,
    SendPtv,
    SendSticker,
    SendVideo,
)
from gateway.contract.zapi.messages.places_and_people import SendContact, SendLocation
from gateway.contract.zapi.messages.polls_and_events import SendEvent, SendPoll
from gateway.contract.zapi.messages.text import SendLink, SendText

BUTTONS = [
    {"id": "1", "type": "URL", "label": "Open", "url": "https://example.com"},
    {"id": "2", "type": "CALL", "label": "Call", "phone": "5511988887777"},
    {"id": "3", "type": "REPLY", "label": "Yes"},
]
ORDER = {
    "currency": "BRL",
    "discount": 0.01,
    "products": [{"name": "Shoes", "value": 10, "quantity": 2}],
}
ORDINARY: list[tuple[str, type[OutgoingMessage], dict[str, Any], dict[str, Any]]] = [
    ("text", SendText, {"message": "Hi"}, {"message": "Hi"}),
    (
        "text",
        SendLink,
        {"message": "see https://x.y", "linkUrl": "https://x.y", "title": "T"},
        {"message": "see https://x.y", "url": "https://x.y", "title": "T"},
    ),
    (
        "location",
        SendLocation,
        {"title": "Home", "address": "Street 1", "latitude": "-23.5", "longitude": "-46.6"},
        {"name": "Home", "address": "Street 1", "latitude": -23.5, "longitude": -46.6},
    ),
    (
        "contact",
        SendContact,
        {"contactName": "Ana", "contactPhone": "5511977776666"},
        {"displayName": "Ana", "phones": ["5511977776666"]},
    ),
    (
        "poll",
        SendPoll,
        {"message": "When?", "poll": [{"name": "Now"}, {"name": "Later"}], "pollMaxOptions": 1},
        {"question": "When?", "pollMaxOptions": 1, "options": [{"name": "Now"}, {"name": "Later"}]},
    ),
    (
        "listMessage",
        SendOptionList,
        {
            "message": "Choose",
            "optionList": {
                "title": "T",
                "buttonLabel": "Open",
                "options": [{"id": "1", "title": "One", "description": "first"}],
            },
        },
        {"title": "T", "description": "Choose", "buttonText": "Open"},
    ),
    (
        "hydratedTemplate",
        SendButtonList,
        {"message": "Sure?", "buttonList": {"buttons": [{"id": "1", "label": "Yes"}]}},
        {"message": "Sure?"},
    ),
    (
        "hydratedTemplate",
        SendButtonActions,
        {"message": "Do", "buttonActions": BUTTONS},
        {"message": "Do"},
    ),
    ("hydratedTemplate", SendButtonOtp, {"message": "Code", "code": "123"}, {"message": "Code"}),
    (
        "pixKeyMessage",
        SendButtonPix,
        {"pixKey": "a@b.c", "type": "EMAIL"},
        {"key": "a@b.c", "keyType": "EMAIL", "merchantName": "Pix", "currency": "BRL"},
    ),
    (
        "product",
        SendProduct,
        {"catalogPhone": "5511999999999", "productId": "77"},
        {"businessOwnerJid": "5511999999999", "productId": "77"},
    ),
    (
        "text",
        SendCatalog,
        {"catalogPhone": "5511999999999", "title": "All of it", "translation": "EN"},
        {"title": "All of it", "url": "https://wa.me/c/5511999999999"},
    ),
    (
        "reviewAndPay",
        SendOrder,
        {"order": ORDER, "paymentSettings": {"card": {"enabled": True}}},
        {"currency": "BRL", "orderStatus": "pending", "total": 19.99, "discount": 0.01},
    ),
    (
        "event",
        SendEvent,
        {"event": {"name": "Launch", "dateTime": "2030-04-29T09:30:00Z", "canceled": False}},
        {"name": "Launch", "scheduleTime": 1903685400},
    ),
]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63606060"
    "6000000005000157a3f7d80000000049454e44ae426082"
)
FILES: list[tuple[str, type[OutgoingMessage], str, str]] = [
    ("image", SendImage, "image", "image/png"),
    ("video", SendVideo, "video", "video/mp4"),
    ("video", SendGif, "gif", "video/mp4"),
    ("video", SendPtv, "ptv", "video/mp4"),
    ("audio", SendAudio, "audio", "audio/ogg"),
    ("document", SendDocument, "document", "application/pdf"),
    ("sticker", SendSticker, "sticker", "image/webp"),
]
