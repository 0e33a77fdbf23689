"""A message sent through the API as it comes back to those who asked for `notifySentByMe`.

Told from the stored form of the message; a file is told of where it was given as a URL.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

Stored = Mapping[str, Any]
Content = Mapping[str, Any]

_TYPES_OF_FILES: Final = {"image": "image/jpeg", "sticker": "image/webp"}
_PIN_SECONDS: Final = {"24_hours": 86_400, "7_days": 604_800, "30_days": 2_592_000}


def content_of_sent(kind: str, stored: Stored) -> Content | None:
    """The content of a ReceivedCallback, by the stored type; None where callbacks have none."""
    render = _CONTENTS.get(kind)
    return render(stored) if render else None


def _url(source: Any) -> str | None:  # noqa: ANN401 - JSON is what it is
    return source if isinstance(source, str) and source.startswith(("https:", "http:")) else None


def _text(stored: Stored) -> Content:
    return {"text": {"message": stored.get("message")}}


def _link(stored: Stored) -> Content:
    return {
        "text": {
            "message": stored.get("message"),
            "descritpion": stored.get("link_description"),
            "title": stored.get("title"),
            "url": stored.get("link_url"),
            "thumbnailUrl": _url(stored.get("image")),
        }
    }


def _file(key: str, field: str | None = None) -> Callable[[Stored], Content]:
    def render(stored: Stored) -> Content:
        return {
            key: {
                f"{key}Url": _url(stored.get(field or key)),
                "mimeType": _TYPES_OF_FILES.get(key),
                "caption": stored.get("caption"),
                "viewOnce": stored.get("view_once"),
                "fileName": stored.get("file_name"),
            }
        }

    return render


def _audio(stored: Stored) -> Content:
    return {
        "audio": {
            "audioUrl": _url(stored.get("audio")),
            "ptt": True,
            "viewOnce": stored.get("view_once"),
        }
    }


def _location(stored: Stored) -> Content:
    return {
        "location": {
            "longitude": float(stored["longitude"]),
            "latitude": float(stored["latitude"]),
            "name": stored.get("title"),
            "address": stored.get("address"),
            "url": "",
        }
    }


def _card(name: str, phones: list[str]) -> Content:
    numbers = "".join(f"TEL;type=CELL;waid={phone}:+{phone}\n" for phone in phones)
    card = f"BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n{numbers}END:VCARD"
    return {"contact": {"displayName": name, "vCard": card, "phones": phones}}


def _contact(stored: Stored) -> Content:
    return _card(stored["contact_name"], [stored["contact_phone"]])


def _contacts(stored: Stored) -> Content:
    """Callbacks have room for one: the first."""
    first = stored["contacts"][0]
    return _card(first["name"], list(first["phones"]))


def _reaction(stored: Stored) -> Content:
    return {
        "reaction": {
            "value": stored.get("reaction", ""),
            "referencedMessage": {"messageId": stored["message_id"], "phone": stored["phone"]},
        }
    }


def _poll(stored: Stored) -> Content:
    return {
        "poll": {
            "question": stored["message"],
            "pollMaxOptions": stored.get("poll_max_options", 0),
            "options": [{"name": option["name"]} for option in stored["poll"]],
        }
    }


def _poll_vote(stored: Stored) -> Content:
    chosen = [{"name": option["name"]} for option in stored["poll_vote"]]
    return {"pollVote": {"pollMessageId": stored["poll_message_id"], "options": chosen}}


def _pin(stored: Stored) -> Content:
    return {
        "pinMessage": {
            "action": stored["message_action"].lower(),
            "pinDurationInSecs": _PIN_SECONDS.get(stored.get("pin_message_duration") or ""),
            "referencedMessage": {"messageId": stored["message_id"], "phone": stored["phone"]},
        }
    }


def _option_list(stored: Stored) -> Content:
    options = stored["option_list"]
    rows = [
        {"title": o["title"], "description": o.get("description"), "rowId": o.get("id")}
        for o in options["options"]
    ]
    return {
        "listMessage": {
            "title": options.get("title"),
            "description": stored["message"],
            "buttonText": options.get("button_label"),
            "sections": [{"options": rows}],
        }
    }


def _buttons(stored: Stored) -> Content:
    shown = stored["button_list"]
    return {
        "buttonsMessage": {
            "imageUrl": _url(shown.get("image")),
            "videoUrl": _url(shown.get("video")),
            "message": stored["message"],
            "buttons": [
                {
                    "buttonId": button.get("id") or str(place),
                    "type": 1,
                    "buttonText": {"displayText": button["label"]},
                }
                for place, button in enumerate(shown["buttons"], 1)
            ],
        }
    }


def _action(index: int, button: Stored) -> Content:
    shown = {"displayText": button["label"]}
    match button["type"].upper():
        case "URL":
            return {"index": index, "urlButton": {**shown, "url": button["url"]}}
        case "CALL":
            return {"index": index, "callButton": {**shown, "phoneNumber": button["phone"]}}
        case _:
            reply = {**shown, "id": button.get("id") or str(index + 1)}
            return {"index": index, "quickReplyButton": reply}


def _actions(buttons: list[Stored]) -> list[Content]:
    return [_action(index, button) for index, button in enumerate(buttons)]


def _template(stored: Stored) -> Content:
    return {
        "hydratedTemplate": {
            "header": {},
            "message": stored["message"],
            "footer": stored.get("footer") or "",
            "title": stored.get("title") or "",
            "templateId": "",
            "hydratedButtons": _actions(stored["button_actions"]),
        }
    }


def _otp(stored: Stored) -> Content:
    url = f"https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{stored['code']}"
    image = _url(stored.get("image"))
    button = {"displayText": stored.get("button_text"), "url": url}
    return {
        "hydratedTemplate": {
            "header": {"image": {"imageUrl": image}} if image else {},
            "message": stored["message"],
            "footer": "",
            "title": "",
            "templateId": "",
            "hydratedButtons": [{"index": 0, "urlButton": button}],
        }
    }


def _pix(stored: Stored) -> Content:
    return {
        "pixKeyMessage": {
            "currency": "BRL",
            "referenceId": "",
            "key": stored["pix_key"],
            "keyType": stored["type"].upper(),
            "merchantName": stored.get("merchant_name", ""),
        }
    }


def _carousel(stored: Stored) -> Content:
    cards = [
        {
            "header": {"image": {"imageUrl": _url(card.get("image"))}},
            "message": card["text"],
            "footer": "",
            "title": "",
            "hydratedButtons": _actions(card.get("buttons") or []),
        }
        for card in stored["carousel"]
    ]
    return {"carouselMessage": {"text": stored["message"], "cards": cards}}


def _product(stored: Stored) -> Content:
    return {
        "product": {
            "businessOwnerJid": stored["catalog_phone"],
            "productId": stored["product_id"],
        }
    }


def _newsletter_invite(stored: Stored) -> Content:
    invite = stored["admin_invite_message"]
    return {
        "newsletterAdminInvite": {
            "newsletterId": invite["newsletter_id"],
            "text": invite.get("caption"),
        }
    }


_CONTENTS: Final[Mapping[str, Callable[[Stored], Content]]] = {
    "send-text": _text,
    "send-text-status": _text,
    "send-link": _link,
    "send-catalog": _text,
    "send-image": _file("image"),
    "send-image-status": _file("image"),
    "send-sticker": _file("sticker"),
    "send-gif": _file("video", "gif"),
    "send-video": _file("video"),
    "send-video-status": _file("video"),
    "send-ptv": _file("video", "ptv"),
    "send-document": _file("document"),
    "send-audio": _audio,
    "send-audio-status": _audio,
    "send-location": _location,
    "send-contact": _contact,
    "send-contacts": _contacts,
    "send-reaction": _reaction,
    "send-remove-reaction": _reaction,
    "send-poll": _poll,
    "send-poll-vote": _poll_vote,
    "pin-message": _pin,
    "send-option-list": _option_list,
    "send-button-list": _buttons,
    "send-button-actions": _template,
    "send-button-otp": _otp,
    "send-button-pix": _pix,
    "send-carousel": _carousel,
    "send-product": _product,
    "send-newsletter-admin-invite": _newsletter_invite,
}
