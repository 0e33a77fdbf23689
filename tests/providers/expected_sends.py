"""How each documented send reaches the server, and where a provider differs from WhatsApp Web."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from gateway.contract.catalogue import catalogue

MIXED: Final[Mapping[str, Any]] = {"interactive": {"native_flow": {}}}
TEXT, MEDIA, EVENT = "text", "media", "event"


@dataclass(frozen=True)
class Expected:
    """How WhatsApp Web itself would send it.

    `content` is the field of WhatsApp's protobuf, `kind` the gateway's word for it, `stanza` the
    type that the server sees, and `biz` the tags below the only node `biz`, None for no such node.
    `address` is the form of a person's address by which it is sent.
    """

    content: str
    kind: str
    stanza: str = TEXT
    biz: Mapping[str, Any] | None = None
    address: str = "lid"


_FLOW = Expected("interactivemessage", "hydratedTemplate", biz=MIXED)
EXPECTED: Final[Mapping[str, Expected]] = {
    "forward-message": Expected("extendedtextmessage", "text"),
    "order-payment-update": Expected("interactivemessage", "reviewOrder", biz=MIXED),
    "order-status-update": Expected("interactivemessage", "reviewOrder", biz=MIXED),
    "pin-message": Expected("pininchatmessage", "pinMessage"),
    "reply-button": Expected(
        "listresponsemessage", "listResponseMessage", MEDIA, {"list_response": {}}
    ),
    "reply-status-gif": Expected("videomessage", "video", MEDIA),
    "reply-status-sticker": Expected("stickermessage", "sticker", MEDIA),
    "reply-status-text": Expected("extendedtextmessage", "text"),
    "reply-template-button": Expected("templatebuttonreplymessage", "buttonsResponseMessage"),
    "send-audio": Expected("audiomessage", "audio", MEDIA),
    "send-audio-status": Expected("audiomessage", "audio", MEDIA),
    "send-button-actions": _FLOW,
    "send-button-list": _FLOW,
    "send-button-otp": _FLOW,
    "send-button-pix": Expected("interactivemessage", "pixKeyMessage", biz={}),
    "send-carousel": _FLOW,
    "send-catalog": Expected("extendedtextmessage", "text", MEDIA),
    "send-contact": Expected("contactmessage", "contact", MEDIA),
    "send-contacts": Expected("contactsarraymessage", "contacts", MEDIA),
    "send-document": Expected("documentmessage", "document", MEDIA),
    "send-edit-event": Expected("secretencryptedmessage", "event", EVENT),
    "send-event": Expected("eventmessage", "event", EVENT),
    "send-event-response": Expected("enceventresponsemessage", "event", EVENT),
    "send-gif": Expected("videomessage", "video", MEDIA),
    "send-image": Expected("imagemessage", "image", MEDIA),
    "send-image-status": Expected("imagemessage", "image", MEDIA),
    "send-link": Expected("extendedtextmessage", "text", MEDIA),
    "send-location": Expected("locationmessage", "location", MEDIA),
    "send-option-list": Expected("interactivemessage", "listMessage", biz=MIXED),
    "send-order": Expected("interactivemessage", "reviewAndPay", biz={}),
    "send-poll": Expected("pollcreationmessage", "poll", "poll"),
    "send-poll-vote": Expected("pollupdatemessage", "pollVote", "poll"),
    "send-product": Expected("productmessage", "product", MEDIA),
    "send-ptv": Expected("ptvmessage", "video", MEDIA),
    "send-reaction": Expected("reactionmessage", "reaction", "reaction"),
    "send-remove-reaction": Expected("reactionmessage", "reaction", "reaction"),
    "send-sticker": Expected("stickermessage", "sticker", MEDIA),
    "send-text": Expected("extendedtextmessage", "text"),
    "send-text-status": Expected("extendedtextmessage", "text"),
    "send-video": Expected("videomessage", "video", MEDIA),
    "send-video-status": Expected("videomessage", "video", MEDIA),
}

_TYPE = "whatsmeow knows no media in it, and its binding hands over no type"
_NO_BIZ = "its binding writes none beside a carousel, and hands over no node"
_BY_PHONE = "Baileys addresses a person as its caller does, and only the sessions by lid"
DIFFERENCES: Final[Mapping[tuple[str, str, str], tuple[Any, str]]] = {
    ("whatsmeow", "send-location", "stanza"): (TEXT, _TYPE),
    ("whatsmeow", "send-ptv", "stanza"): (TEXT, _TYPE),
    ("whatsmeow", "send-event", "stanza"): (TEXT, _TYPE),
    ("whatsmeow", "send-edit-event", "stanza"): (TEXT, _TYPE),
    ("whatsmeow", "send-event-response", "stanza"): (TEXT, _TYPE),
    ("whatsmeow", "send-link minimal", "stanza"): (TEXT, "whatsmeow sees a link by its title only"),
    ("whatsmeow", "send-carousel", "biz"): (None, _NO_BIZ),
    ("baileys", "send-poll-vote", "address"): ("phone", _BY_PHONE),
    ("baileys", "send-reaction", "address"): ("phone", _BY_PHONE),
    ("baileys", "send-remove-reaction", "address"): ("phone", _BY_PHONE),
    ("", "send-contacts minimal", "content"): ("contactmessage", "one contact is no array"),
    ("", "send-contacts minimal", "kind"): ("contact", "one contact is no array"),
    ("", "send-text minimal", "content"): ("conversation", "nothing is beside the text"),
}
"""What differs and why, by provider (empty for all), route or example, and field of `Expected`."""

NOT_REPORTED: Final = frozenset({"send-edit-event", "send-event-response"})
"""What no callback exists for: the gateway reports none, so that only Baileys reads it here."""

REFERRING: Final[Mapping[str, str]] = {
    "reactionmessage": "key",
    "pollupdatemessage": "pollcreationmessagekey",
}
"""Messages in which Baileys rewrites the key of another one: it shows it from the reader's side."""

REFERENCES: Final[Mapping[str, str]] = {
    "send-poll-vote": "poll",
    "send-edit-event": "event",
    "send-event-response": "event",
    "order-status-update": "order",
    "order-payment-update": "order",
    "reply-button": "list",
    "reply-template-button": "actions",
    "reply-status-text": "status",
    "reply-status-gif": "status",
    "reply-status-sticker": "status",
}
"""The earlier message that a send refers to; the others refer to a text."""
EARLIER: Final = "EARLIER"


def examples(path: str) -> list[tuple[str, Mapping[str, Any]]]:
    declared = catalogue().sends[path]
    both = (("minimal", declared.example_minimal), ("full", declared.example))
    return [(f"{path} {which}", example) for which, example in both if example is not None]


def expected(provider: str, example: str, field: str) -> Any:
    """Returns a field of `Expected` for an example of this provider."""
    path = example.partition(" ")[0]
    for difference in product((provider, ""), (example, path), (field,)):
        if difference in DIFFERENCES:
            return DIFFERENCES[difference][0]
    return getattr(EXPECTED[path], field)
