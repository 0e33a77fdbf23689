"""What a business account sells: products, its catalogue, orders and their updates."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.known import KnownMessage, assumed_own
from gateway.contract.limits import Limit, max_items, max_number
from gateway.contract.send import MessageId, OutgoingMessage
from gateway.contract.wire import Incoming, Matching, Phone
from gateway.contract.zapi.messages.text import Label

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Currency = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_upper=True),
    Matching("^[A-Za-z]{3}$", "must be a currency code such as BRL"),
]


class SendProduct(OutgoingMessage, path="/send-product"):
    """Sends a product of a catalogue."""

    catalog_phone: Phone
    number_fields: ClassVar[tuple[str, ...]] = ("phone", "catalog_phone")
    product_id: Label

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "catalogPhone": "5511999999999",
        "productId": "7190654897637620",
    }
    limits: ClassVar[tuple[Limit, ...]] = ()

    def echo(self, _context: EchoContext) -> Content | None:
        return {"product": {"businessOwnerJid": self.catalog_phone, "productId": self.product_id}}


_CATALOG_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "EN": ("View our catalog", "Catalog"),
    "PT": ("Veja nosso cat\u00e1logo", "Cat\u00e1logo"),
}
"""By language: the text and the title of a card whose caller gave none."""


class SendCatalog(OutgoingMessage, path="/send-catalog"):
    """Sends the link to a catalogue as a card."""

    catalog_phone: Phone
    number_fields: ClassVar[tuple[str, ...]] = ("phone", "catalog_phone")
    translation: Annotated[Literal["EN", "PT"], ANY_CASE] | None = Field(
        None, description="the language of the default texts of the card"
    )
    message: str | None = None
    title: str | None = None
    catalog_description: str | None = None

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "catalogPhone": "5511999999999",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "translation": "EN",
        "message": "Open our catalogue",
        "title": "Catalogue",
        "catalogDescription": "Products and services",
    }
    limits: ClassVar[tuple[Limit, ...]] = ()

    @property
    def link(self) -> str:
        return f"https://wa.me/c/{self.catalog_phone}"

    @property
    def shown_text(self) -> str:
        """The text above the link."""
        return self.message or _CATALOG_TEXTS[self.translation or "PT"][0]

    @property
    def shown_title(self) -> str:
        return self.title or _CATALOG_TEXTS[self.translation or "PT"][1]

    def readable_text(self) -> str | None:
        return self.message

    def echo(self, _context: EchoContext) -> Content | None:
        return {
            "text": {
                "message": f"{self.shown_text}\n{self.link}",
                "descritpion": self.catalog_description,
                "title": self.shown_title,
                "url": self.link,
            }
        }


class OrderedProduct(Incoming):
    """A product of an order; without `productId`, an item of this order alone."""

    name: Label
    value: Amount = Field(description="of one")
    quantity: int = Field(ge=1)
    product_id: str | None = None


class Order(Incoming):
    """What is ordered, and what it costs."""

    currency: Currency
    products: Annotated[tuple[OrderedProduct, ...], Field(min_length=1)]
    discount: Amount = 0
    tax: Amount = 0
    shipping: Amount = 0

    @property
    def sub_total(self) -> float:
        return sum(product.value * product.quantity for product in self.products)

    @property
    def total(self) -> float:
        return self.sub_total - self.discount + self.tax + self.shipping


class NamedProduct(OrderedProduct):
    """A product of an order, with its id."""

    product_id: Label
    is_custom_item: bool


class NumberedOrder(Order):
    """A whole order with the ids that the callback of the original shows."""

    products: Annotated[tuple[NamedProduct, ...], Field(min_length=1)]


_ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_LENGTH = 11
_CUSTOM_ITEM = "custom-item-"


def order_id(message_id: str, part: str) -> str:
    """An id of *part* of an order, as phones make them; each attempt gives the same id."""
    number = int.from_bytes(hashlib.sha256(f"{message_id}/{part}".encode()).digest())
    characters = []
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, len(_ID_ALPHABET))
        characters.append(_ID_ALPHABET[digit])
    return "".join(characters)


def numbered_order(order: Order, message_id: str) -> NumberedOrder:
    """The order with an id for each product that is in no catalogue."""
    products = [
        NamedProduct(
            **product.model_dump(exclude={"product_id"}),
            product_id=product.product_id
            or _CUSTOM_ITEM + order_id(message_id, f"product {position}"),
            is_custom_item=(product.product_id or _CUSTOM_ITEM).startswith(_CUSTOM_ITEM),
        )
        for position, product in enumerate(order.products)
    ]
    return NumberedOrder(**order.model_dump(exclude={"products"}), products=tuple(products))


def _reviewed(order: NumberedOrder) -> Mapping[str, Any]:
    """The sums and products of `reviewAndPay` and `reviewOrder`."""
    return {
        "currency": order.currency,
        "total": order.total,
        "subTotal": order.sub_total,
        "discount": order.discount,
        "shipping": order.shipping,
        "tax": order.tax,
        "products": [
            product.model_dump(
                by_alias=True, include={"name", "quantity", "is_custom_item", "product_id", "value"}
            )
            for product in order.products
        ],
    }


class PixAccount(Incoming):
    """The receiver of a Pix payment."""

    key: Label
    key_type: Annotated[Literal["cpf", "cnpj", "phone", "email", "randomKey"], ANY_CASE]
    name: str | None = None


class CardPayment(Incoming):
    """Whether payment by card is accepted."""

    enabled: bool = False


class PaymentSettings(Incoming):
    """How an order may be paid."""

    pix: PixAccount | None = None
    card: CardPayment | None = None


_MAX_AMOUNT, _MAX_SUM = 1_000_000_000, 10**12
_ORDER_LIMITS = (
    max_items("order.products", 1_000),
    max_number("order.products[].value", _MAX_AMOUNT),
    max_number("order.products[].quantity", 1_000_000),
    max_number("order.discount", _MAX_AMOUNT),
    max_number("order.tax", _MAX_AMOUNT),
    max_number("order.shipping", _MAX_AMOUNT),
    # In hundredths, as WhatsApp counts it, a sum must fit 64 bits.
    Limit(
        "order",
        f"must add up to at most {_MAX_SUM}",
        lambda order: order.sub_total <= _MAX_SUM,
        measure=lambda order: order.sub_total,
    ),
)


class SendOrder(OutgoingMessage, path="/send-order"):
    """Sends an order to be approved and paid."""

    order: Order
    payment_settings: PaymentSettings | None = None

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "order": {
            "currency": "BRL",
            "products": [{"name": "Product", "value": 10, "quantity": 2}],
        },
    }
    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "order": {
            "currency": "BRL",
            "products": [
                {
                    "name": "Product",
                    "value": 10,
                    "quantity": 2,
                    "productId": "23940797548900636",
                }
            ],
            "discount": 10,
            "tax": 10,
            "shipping": 5,
        },
        "paymentSettings": {
            "pix": {"key": "ana@example.com", "keyType": "email", "name": "Ana"},
            "card": {"enabled": True},
        },
    }
    limits: ClassVar[tuple[Limit, ...]] = _ORDER_LIMITS

    def echo(self, context: EchoContext) -> Content | None:
        """With the ids that a caller needs to update the order later."""
        return {
            "reviewAndPay": {
                "type": "physical-goods",
                "referenceId": order_id(context.message_id, "reference"),
                "orderRequestId": order_id(context.message_id, "request"),
                "orderStatus": "pending",
                "paymentStatus": "pending",
                **_reviewed(numbered_order(self.order, context.message_id)),
            }
        }


class OrderUpdate(OutgoingMessage):
    """An update of an order that this instance sent."""

    message_id: MessageId
    reference_id: Label
    order_request_id: Label
    order_status: Annotated[
        Literal["pending", "processing", "shipped", "completed", "canceled"], ANY_CASE
    ]
    payment_status: Annotated[Literal["pending", "paid"], ANY_CASE]
    order: NumberedOrder
    message: str | None = None

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "messageId": "3EB0577D10A2B4C6D8E9F1",
        "referenceId": "4N8FCTW1WM6",
        "orderRequestId": "4N8FCTW22W4",
        "orderStatus": "processing",
        "paymentStatus": "pending",
        "order": {
            "currency": "BRL",
            "products": [
                {
                    "productId": "custom-item-4N8FCTW23N7",
                    "name": "Product",
                    "value": 150,
                    "quantity": 2,
                    "isCustomItem": True,
                }
            ],
        },
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "order": {**example_minimal["order"], "discount": 10, "tax": 10, "shipping": 5},
        "message": "We are packing it",
    }
    limits: ClassVar[tuple[Limit, ...]] = _ORDER_LIMITS

    def echo(self, _context: EchoContext) -> Content | None:
        return {
            "reviewOrder": {
                "referenceId": self.reference_id,
                "orderRequestId": self.order_request_id,
                "orderStatus": self.order_status,
                "paymentStatus": self.payment_status,
                **_reviewed(self.order),
            }
        }

    def replied_id(self) -> str | None:
        return self.message_id

    def referred_ids(self) -> tuple[str, ...]:
        return (self.message_id,)

    def assumed(self, message_id: str) -> KnownMessage | None:
        return assumed_own(message_id, self.phone, kind="send-order")

    def readable_text(self) -> str | None:
        return self.message


class UpdateOrderStatus(OrderUpdate, path="/order-status-update"):
    """Sends the status of an order."""


class UpdateOrderPayment(OrderUpdate, path="/order-payment-update"):
    """Sends the payment status of an order."""

    example: ClassVar[Example] = {**OrderUpdate.example, "paymentStatus": "paid"}
