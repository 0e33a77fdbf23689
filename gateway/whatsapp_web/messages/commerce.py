"""Products, catalogues and orders.

The library cannot read a catalogue. A product is sent without picture and price, which the
recipient's phone reads by the product's id. WhatsApp decides which phones show an order.
"""

from gateway.contract.handlers import Handlers
from gateway.contract.zapi.messages.commerce import (
    NamedProduct,
    NumberedOrder,
    Order,
    OrderUpdate,
    PaymentSettings,
    SendCatalog,
    SendOrder,
    SendProduct,
    numbered_order,
    order_id,
)
from gateway.sessions.provider import Receipt
from gateway.whatsapp_web.jids import jid_of
from gateway.whatsapp_web.messages.parts import (
    context_of,
    flow_button,
    flow_of,
    interactive,
    present,
)
from gateway.whatsapp_web.session import Fields, SendContext

sends: Handlers[SendContext] = Handlers()

_CENTS = 100
_KEY_TYPES = {"randomkey": "EVP"}


@sends.handles(SendProduct)
async def send_product(outgoing: SendContext, message: SendProduct) -> Receipt:
    link = f"https://wa.me/p/{message.product_id}/{message.catalog_phone}"
    product = {"productID": message.product_id, "URL": link}
    body = {"product": product, "businessOwnerJID": jid_of(message.catalog_phone)}
    return await outgoing.deliver(message.phone, {"productMessage": body})


@sends.handles(SendCatalog)
async def send_catalog(outgoing: SendContext, message: SendCatalog) -> Receipt:
    card = {
        "text": f"{message.shown_text}\n{message.link}",
        "matchedText": message.link,
        "title": message.shown_title,
        **present(description=message.catalog_description),
    }
    return await outgoing.deliver(message.phone, {"extendedTextMessage": card})


@sends.handles(SendOrder)
async def send_order(outgoing: SendContext, message: SendOrder) -> Receipt:
    message_id = outgoing.attempt.message_id
    button = flow_button(
        "review_and_pay",
        reference_id=order_id(message_id, "reference"),
        order_request_id=order_id(message_id, "request"),
        type="physical-goods",
        payment_status="pending",
        payment_settings=_ways_to_pay(message.payment_settings),
        **_sums(message.order),
        order=_order(numbered_order(message.order, message_id), "pending"),
    )
    return await outgoing.deliver(message.phone, interactive("", **flow_of([button])))


@sends.handles(OrderUpdate)
async def update_order(outgoing: SendContext, message: OrderUpdate) -> Receipt:
    button = flow_button(
        "review_order",
        reference_id=message.reference_id,
        order_request_id=message.order_request_id,
        payment_status=message.payment_status,
        **_sums(message.order),
        order=_order(message.order, message.order_status),
    )
    body = interactive(
        message.message or "",
        **flow_of([button]),
        **context_of(outgoing.attempt, message.message_id),
    )
    return await outgoing.deliver(message.phone, body)


def _sums(order: Order) -> Fields:
    return {"currency": order.currency, "total_amount": _money(order.total)}


def _order(order: NumberedOrder, status: str) -> Fields:
    return {
        "status": status,
        "order_type": "ORDER",
        "subtotal": _money(order.sub_total),
        "discount": _money(order.discount),
        "tax": _money(order.tax),
        "shipping": _money(order.shipping),
        "items": [_item(product) for product in order.products],
    }


def _item(product: NamedProduct) -> Fields:
    return {
        "retailer_id": product.product_id,
        **({} if product.is_custom_item else {"product_id": product.product_id}),
        "name": product.name,
        "amount": _money(product.value),
        "quantity": product.quantity,
        "isCustomItem": product.is_custom_item,
    }


def _money(sum_of_money: float) -> Fields:
    return {"value": round(sum_of_money * _CENTS), "offset": _CENTS}


def _ways_to_pay(settings: PaymentSettings | None) -> list[Fields]:
    ways: list[Fields] = []
    if settings and (pix := settings.pix):
        kind = _KEY_TYPES.get(pix.key_type.lower(), pix.key_type.upper())
        key = {"merchant_name": pix.name or "", "key": pix.key, "key_type": kind}
        ways.append({"type": "pix_static_code", "pix_static_code": key})
    if settings and settings.card:
        ways.append({"type": "cards", "cards": {"enabled": settings.card.enabled}})
    return ways
