"""What a business account sells: products, its catalogue, orders and what becomes of them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.postman_setup import PostmanSetup, Precondition
from gateway.contract.send import MessageId, Send
from gateway.contract.wire import Incoming, Phone
from gateway.contract.zapi.messages.text import Label

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Currency = Annotated[
    str, StringConstraints(strip_whitespace=True, to_upper=True, pattern="^[A-Za-z]{3}$")
]


class SendProduct(Send, path="/send-product"):
    """Sends a product of a catalogue."""

    catalog_phone: Phone
    product_id: Label

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "catalogPhone": "5511999999999",
        "productId": "7190654897637620",
    }


class SendCatalog(Send, path="/send-catalog"):
    """Sends the link to a catalogue as a card."""

    catalog_phone: Phone
    translation: Annotated[Literal["EN", "PT"], ANY_CASE] | None = Field(
        None, description="the language of what the card says by itself"
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

    def readable_text(self) -> str | None:
        return self.message


class OrderedProduct(Incoming):
    """A line of an order; without `productId`, an item of this order alone."""

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


class PixAccount(Incoming):
    """Who gets the Pix."""

    key: Label
    key_type: Annotated[Literal["cpf", "cnpj", "phone", "email", "randomKey"], ANY_CASE]
    name: str | None = None


class CardPayment(Incoming):
    """Whether cards are taken."""

    enabled: bool = False


class PaymentSettings(Incoming):
    """How an order may be paid."""

    pix: PixAccount | None = None
    card: CardPayment | None = None


class SendOrder(Send, path="/send-order"):
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


class NamedProduct(OrderedProduct):
    """A line of an order that WhatsApp has numbered."""

    product_id: Label
    is_custom_item: bool


class NumberedOrder(Order):
    """The whole order again, as the callback of the original told it."""

    products: Annotated[tuple[NamedProduct, ...], Field(min_length=1)]


class OrderUpdate(Send):
    """What became of an order this instance sent."""

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
    postman_setup = PostmanSetup(
        first=(Precondition("/send-order"),), values={"messageId": "{{messageId}}"}
    )

    def referred_ids(self) -> tuple[str, ...]:
        return (self.message_id,)

    def readable_text(self) -> str | None:
        return self.message


class UpdateOrderStatus(OrderUpdate, path="/order-status-update"):
    """Tells how far an order is."""


class UpdateOrderPayment(OrderUpdate, path="/order-payment-update"):
    """Tells whether an order is paid."""

    example: ClassVar[Example] = {**OrderUpdate.example, "paymentStatus": "paid"}
