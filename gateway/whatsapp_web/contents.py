"""Translates the content of a message into Z-API's fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.whatsapp_web import commerce, native_flows
from gateway.whatsapp_web.jids import chat_of

Fields = Mapping[str, Any]

_WRAPPERS = (
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "deviceSentMessage",
    "editedMessage",
)


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a message; `file_at` is the path of the field for the link to its file."""

    kind: str
    fields: dict[str, Any]
    context: Fields
    refers_to: str | None = None
    file_at: tuple[str, str] | None = None
    file_name: str | None = None
    is_edit: bool = False


def unwrapped(message: Fields) -> Fields:
    """Returns the message inside its wrappers, which say how it is shown."""
    for wrapper in _WRAPPERS:
        if inner := message.get(wrapper, {}).get("message"):
            return unwrapped(inner)
    return message


def content_of(message: Fields) -> Content | None:
    """Returns None for a message without content, such as keys exchanged between devices."""
    plain = unwrapped(message)
    if edit := plain.get("protocolMessage"):
        return _edited(edit)
    for name, read in _READERS.items():
        if name in plain:
            found = plain[name]
            return read({"text": found} if isinstance(found, str) else found)
    return None


def revoked_by(message: Fields) -> str | None:
    """Returns WhatsApp's id of the message that this one revokes; None if it revokes none."""
    change = unwrapped(message).get("protocolMessage", {})
    # REVOKE is the default of the enum, which the JSON omits.
    if change.get("type", "REVOKE") != "REVOKE":
        return None
    revoked: str | None = change.get("key", {}).get("ID")
    return revoked


def _edited(change: Fields) -> Content | None:
    if change.get("type") != "MESSAGE_EDIT" or "editedMessage" not in change:
        return None
    content = content_of(change["editedMessage"])
    if content is None:
        return None
    return Content(
        content.kind,
        content.fields,
        content.context,
        refers_to=change["key"]["ID"],
        is_edit=True,
    )


def _content(kind: str, body: Fields, **fields: object) -> Content:
    present = {name: value for name, value in fields.items() if value is not None}
    return Content(kind, present, body.get("contextInfo", {}))


def _text(body: Fields) -> Content:
    return _content(
        "text",
        body,
        message=body["text"],
        title=body.get("title"),
        description=body.get("description"),
        url=body.get("matchedText"),
    )


def _file(kind: str, *names: str) -> Callable[[Fields], Content]:
    def read(body: Fields) -> Content:
        fields = {name: body[name] for name in names if name in body}
        fields |= {"mimeType": body.get("mimetype", "").partition(";")[0]}
        if "PTT" in body:
            fields["ptt"] = body["PTT"]
        return Content(
            kind,
            fields,
            body.get("contextInfo", {}),
            file_at=(kind, f"{kind}Url"),
            file_name=body.get("fileName"),
        )

    return read


def _location(body: Fields) -> Content:
    return _content(
        "location",
        body,
        latitude=body.get("degreesLatitude", 0.0),
        longitude=body.get("degreesLongitude", 0.0),
        name=body.get("name"),
        address=body.get("address"),
        url=body.get("URL"),
    )


def _card(body: Fields) -> dict[str, Any]:
    vcard = body.get("vcard", "")
    lines = [line for line in vcard.splitlines() if line.upper().startswith("TEL")]
    phones = ["".join(filter(str.isdigit, line.rpartition(":")[2])) for line in lines]
    return {"displayName": body.get("displayName", ""), "vCard": vcard, "phones": phones}


def _contact(body: Fields) -> Content:
    return _content("contact", body, **_card(body))


def _contacts(body: Fields) -> Content:
    return _content("contacts", body, contacts=[_card(card) for card in body.get("contacts", ())])


def _reaction(body: Fields) -> Content:
    time = int(body.get("senderTimestampMS", 0))
    fields = {"value": body.get("text", ""), "time": time}
    return Content("reaction", fields, {}, refers_to=body["key"]["ID"])


def _poll(body: Fields) -> Content:
    return _content(
        "poll",
        body,
        question=body.get("name", ""),
        pollMaxOptions=body.get("selectableOptionsCount", 0),
        options=[{"name": option["optionName"]} for option in body.get("options", ())],
    )


def _vote(body: Fields) -> Content:
    """Leaves the options empty: they are encrypted, and the library decrypts them later."""
    poll = body["pollCreationMessageKey"]["ID"]
    return Content("pollVote", {"pollMessageId": poll, "options": []}, {}, refers_to=poll)


def _pin(body: Fields) -> Content:
    action = "unpin" if body.get("type") == "UNPIN_FOR_ALL" else "pin"
    return Content("pinMessage", {"action": action}, {}, refers_to=body["key"]["ID"])


def _buttons(body: Fields) -> Content:
    buttons = [
        {"buttonId": b.get("buttonID", ""), "type": 1, "buttonText": b.get("buttonText", {})}
        for b in body.get("buttons", ())
    ]
    return _content("buttonsMessage", body, message=body.get("contentText", ""), buttons=buttons)


def _buttons_answer(body: Fields) -> Content:
    return _content(
        "buttonsResponseMessage",
        body,
        buttonId=body.get("selectedButtonID", ""),
        message=body.get("selectedDisplayText", ""),
    )


def _list(body: Fields) -> Content:
    sections = [
        {
            "title": section.get("title"),
            "options": [
                {
                    "title": r.get("title"),
                    "description": r.get("description"),
                    "rowId": r.get("rowID"),
                }
                for r in section.get("rows", ())
            ],
        }
        for section in body.get("sections", ())
    ]
    return _content(
        "listMessage",
        body,
        title=body.get("title"),
        description=body.get("description"),
        buttonText=body.get("buttonText"),
        sections=sections,
    )


def _list_answer(body: Fields) -> Content:
    return _content(
        "listResponseMessage",
        body,
        message=body.get("description", ""),
        title=body.get("title", ""),
        selectedRowId=body.get("singleSelectReply", {}).get("selectedRowID", ""),
    )


def _template_answer(body: Fields) -> Content:
    return _content(
        "buttonsResponseMessage",
        body,
        buttonId=body.get("selectedID", ""),
        message=body.get("selectedDisplayText", ""),
    )


def _flow_answer(body: Fields) -> Content:
    kind, fields = native_flows.answer(body)
    return _content(kind, body, **fields)


def _interactive(body: Fields) -> Content:
    buttons = body.get("nativeFlowMessage", {}).get("buttons", ())
    if len(buttons) == 1 and (content := _single_button(body, buttons[0])):
        return content
    return _content(
        "hydratedTemplate",
        body,
        message=body.get("body", {}).get("text", ""),
        footer=body.get("footer", {}).get("text", ""),
        title=body.get("header", {}).get("title", ""),
        hydratedButtons=[native_flows.hydrated(n, button) for n, button in enumerate(buttons)],
    )


def _single_button(body: Fields, button: Fields) -> Content | None:
    """Returns the order, PIX key or list that WhatsApp has as a button; None for another button."""
    parameters = native_flows.parameters(button)
    if kind := commerce.ORDERS.get(button.get("name", "")):
        return _content(kind, body, **commerce.order(parameters))
    if button.get("name") == "payment_info" and (key := commerce.pix_key(parameters)):
        return _content("pixKeyMessage", body, **key)
    if button.get("name") == native_flows.SELECT:
        return _content("listMessage", body, **native_flows.list_of(body, parameters))
    return None


def _product(body: Fields) -> Content:
    return _content("product", body, **commerce.product(body))


def _cart(body: Fields) -> Content:
    return _content("order", body, **commerce.cart(body))


def _event(body: Fields) -> Content:
    return _content(
        "event",
        body,
        name=body.get("name", ""),
        description=body.get("description"),
        canceled=body.get("isCanceled", False),
        joinLink=body.get("joinLink"),
        scheduleTime=int(body.get("startTime", 0)),
        location=body.get("location"),
    )


def _channel_invite(body: Fields) -> Content:
    return _content(
        "newsletterAdminInvite",
        body,
        newsletterId=chat_of(body.get("newsletterJID", "")),
        newsletterName=body.get("newsletterName"),
        text=body.get("caption"),
        inviteExpiration=int(body.get("inviteExpiration", 0)),
    )


_READERS: Final[dict[str, Callable[[Fields], Content]]] = {
    "conversation": _text,
    "extendedTextMessage": _text,
    "imageMessage": _file("image", "caption", "width", "height", "viewOnce"),
    "videoMessage": _file("video", "caption", "width", "height", "seconds", "viewOnce"),
    "ptvMessage": _file("video", "width", "height", "seconds"),
    "audioMessage": _file("audio", "seconds", "viewOnce"),
    "documentMessage": _file("document", "caption", "title", "fileName", "pageCount"),
    "stickerMessage": _file("sticker"),
    "locationMessage": _location,
    "liveLocationMessage": _location,
    "contactMessage": _contact,
    "contactsArrayMessage": _contacts,
    "reactionMessage": _reaction,
    "pollCreationMessage": _poll,
    "pollCreationMessageV2": _poll,
    "pollCreationMessageV3": _poll,
    "pollUpdateMessage": _vote,
    "pinInChatMessage": _pin,
    "buttonsMessage": _buttons,
    "buttonsResponseMessage": _buttons_answer,
    "templateButtonReplyMessage": _template_answer,
    "interactiveResponseMessage": _flow_answer,
    "interactiveMessage": _interactive,
    "listMessage": _list,
    "listResponseMessage": _list_answer,
    "eventMessage": _event,
    "productMessage": _product,
    "orderMessage": _cart,
    "newsletterAdminInviteMessage": _channel_invite,
}
