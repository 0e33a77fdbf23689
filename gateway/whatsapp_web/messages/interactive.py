"""Buttons, lists and carousels.

All are native flows. Beside those each library writes one `biz` node, which phones need to show
them. Beside the older forms of buttons and lists the one in Go and its binding both write one, and
beside a carousel, or in a view-once message, neither does. WhatsApp decides which phones show
them, and changes that.
"""

from gateway.contract.handlers import Handlers
from gateway.contract.zapi.messages.button_replies import ButtonReply, Choice, choice_in
from gateway.contract.zapi.messages.buttons import ActionButton
from gateway.contract.zapi.messages.interactive import (
    CarouselCard,
    SendButtonActions,
    SendButtonList,
    SendButtonOtp,
    SendButtonPix,
    SendCarousel,
    SendOptionList,
)
from gateway.errors import Refused
from gateway.sessions.provider import Receipt
from gateway.whatsapp_web.messages.parts import (
    context_of,
    flow_button,
    flow_of,
    image_of,
    interactive,
    known,
    present,
    video_of,
)
from gateway.whatsapp_web.session import Fields, SendContext

sends: Handlers[SendContext] = Handlers()


@sends.handles(SendButtonActions)
async def send_button_actions(outgoing: SendContext, message: SendButtonActions) -> Receipt:
    flow = flow_of([_action(button) for button in message.button_actions])
    header = {"header": {"title": message.title}} if message.title else {}
    footer = {"footer": {"text": message.footer}} if message.footer else {}
    return await outgoing.deliver(
        message.phone, interactive(message.message, **flow, **header, **footer)
    )


@sends.handles(SendButtonList)
async def send_button_list(outgoing: SendContext, message: SendButtonList) -> Receipt:
    shown = message.button_list
    flow = flow_of([_reply(button.label, button.id) for button in shown.buttons])
    header: Fields = {}
    if shown.image:
        header |= {"imageMessage": await image_of(outgoing, shown.image)}
    if shown.video:
        header |= {"videoMessage": await video_of(outgoing, shown.video)}
    if header:
        flow |= {"header": {"hasMediaAttachment": True, **header}}
    return await outgoing.deliver(message.phone, interactive(message.message, **flow))


@sends.handles(SendOptionList)
async def send_option_list(outgoing: SendContext, message: SendOptionList) -> Receipt:
    options = message.option_list
    rows = [
        present(id=option.id, title=option.title, description=option.description)
        for option in options.options
    ]
    select = flow_button(
        "single_select",
        title=options.button_label,
        sections=[{"title": options.title, "rows": rows}],
    )
    flow = flow_of([select]) | {"header": {"title": options.title}}
    return await outgoing.deliver(message.phone, interactive(message.message, **flow))


@sends.handles(ButtonReply)
async def send_button_reply(outgoing: SendContext, message: ButtonReply) -> Receipt:
    offered = known(outgoing.attempt, message.message_id)
    choice = None if offered.from_me else choice_in(offered.payload, message.choice_id)
    if choice is None:
        raise Refused(f"message {message.message_id} offers no button {message.choice_id!r}")
    body = _answer(choice) | context_of(outgoing.attempt, message.message_id)
    return await outgoing.deliver(message.phone, {_ANSWERS[choice.kind]: body})


_ANSWERS = {
    "button": "buttonsResponseMessage",
    "option": "listResponseMessage",
    "template": "templateButtonReplyMessage",
}


def _answer(choice: Choice) -> Fields:
    match choice.kind:
        case "button":
            chosen = {"selectedButtonID": choice.id, "type": "DISPLAY_TEXT"}
            return {"selectedDisplayText": choice.label, **chosen}
        case "option":
            return present(
                title=choice.label,
                description=choice.description,
                listType="SINGLE_SELECT",
                singleSelectReply={"selectedRowID": choice.id},
            )
        case "template":
            chosen = {"selectedID": choice.id, "selectedDisplayText": choice.label}
            return {**chosen, "selectedIndex": choice.index}


@sends.handles(SendButtonOtp)
async def send_button_otp(outgoing: SendContext, message: SendButtonOtp) -> Receipt:
    flow = flow_of([_copy(message.button_text, message.code)])
    header: Fields = {}
    if message.image:
        image = await image_of(outgoing, message.image)
        header = {"header": {"hasMediaAttachment": True, "imageMessage": image}}
    return await outgoing.deliver(message.phone, interactive(message.message, **flow, **header))


@sends.handles(SendButtonPix)
async def send_button_pix(outgoing: SendContext, message: SendButtonPix) -> Receipt:
    nothing = {"value": 0, "offset": 100}
    key = {
        "merchant_name": message.merchant_name,
        "key": message.pix_key,
        "key_type": message.type,
    }
    button = flow_button(
        "payment_info",
        currency="BRL",
        total_amount=nothing,
        reference_id=outgoing.attempt.message_id,
        type="physical-goods",
        order={"status": "pending", "subtotal": nothing, "order_type": "ORDER", "items": []},
        payment_settings=[{"type": "pix_static_code", "pix_static_code": key}],
    )
    return await outgoing.deliver(
        message.phone, interactive(message.merchant_name, **flow_of([button]))
    )


@sends.handles(SendCarousel)
async def send_carousel(outgoing: SendContext, message: SendCarousel) -> Receipt:
    cards = [await _card(outgoing, card) for card in message.carousel]
    body = interactive(message.message, carouselMessage={"cards": cards, "messageVersion": 1})
    return await outgoing.deliver(message.phone, body)


async def _card(outgoing: SendContext, card: CarouselCard) -> Fields:
    image = await image_of(outgoing, card.image)
    return {
        "header": {"hasMediaAttachment": True, "imageMessage": image},
        "body": {"text": card.text},
        **flow_of([_action(button) for button in card.buttons]),
    }


def _reply(label: str, reply_id: str | None) -> Fields:
    return flow_button("quick_reply", display_text=label, id=reply_id)


def _copy(label: str, code: str) -> Fields:
    return flow_button("cta_copy", display_text=label, copy_code=code)


def _action(button: ActionButton) -> Fields:
    if button.type == "CALL":
        return flow_button("cta_call", display_text=button.label, phone_number=f"+{button.phone}")
    if button.type == "REPLY":
        return _reply(button.label, button.id)
    if code := button.copied_code:
        return _copy(button.label, code)
    return flow_button(
        "cta_url", display_text=button.label, url=button.url, merchant_url=button.url
    )
