"""Products, orders and money."""

from collections.abc import Mapping
from typing import ClassVar

from gateway.contract.callbacks.base import Example
from gateway.contract.callbacks.received import MessageCallback
from gateway.contract.wire import Wire


class PixKeyContent(Wire):
    """The receiver of a PIX payment."""

    currency: str
    reference_id: str
    key: str
    key_type: str
    merchant_name: str


class PixKeyReceived(MessageCallback):
    """A button with a PIX key."""

    pix_key_message: PixKeyContent

    variants: ClassVar[Mapping[str, Example]] = {
        "pix-key": {
            "pixKeyMessage": {
                "currency": "BRL",
                "referenceId": "4PXRAHSIRDA",
                "key": "11222333000181",
                "keyType": "CNPJ",
                "merchantName": "The shop",
            }
        }
    }


class PaymentInfo(Wire):
    """The state of a payment."""

    receiver_phone: str
    value: float
    currency_code: str
    status: str
    transaction_status: str


class RequestPaymentContent(Wire):
    """`expiration` in milliseconds."""

    value: float
    currency_code: str
    expiration: int | None = None
    request_phone: str
    payment_info: PaymentInfo | None = None


class RequestPaymentReceived(MessageCallback):
    """A contact requests a payment."""

    request_payment: RequestPaymentContent

    variants: ClassVar[Mapping[str, Example]] = {
        "payment-request": {
            "requestPayment": {
                "value": 1.0,
                "currencyCode": "BRL",
                "expiration": 1769886000000,
                "requestPhone": "5511988888888",
                "paymentInfo": {
                    "receiverPhone": "5511988888888",
                    "value": 1.0,
                    "currencyCode": "BRL",
                    "status": "WAITING",
                    "transactionStatus": "COLLECT_SUCCESS",
                },
            }
        }
    }


class SendPaymentContent(Wire):
    """A payment."""

    payment_info: PaymentInfo


class SendPaymentReceived(MessageCallback):
    """A contact paid."""

    send_payment: SendPaymentContent

    variants: ClassVar[Mapping[str, Example]] = {
        "payment-received": {
            "sendPayment": {
                "paymentInfo": {
                    "receiverPhone": "5511999999999",
                    "value": 1.0,
                    "currencyCode": "BRL",
                    "status": "COMPLETE",
                    "transactionStatus": "SUCCESS",
                }
            }
        }
    }


class ProductContent(Wire):
    """A product of a catalogue."""

    product_image: str | None = None
    download_error: str | None = None
    business_owner_jid: str
    currency_code: str | None = None
    product_id: str
    description: str | None = None
    product_image_count: int | None = None
    price: float | None = None
    url: str | None = None
    retailer_id: str | None = None
    first_image_id: str | None = None
    title: str | None = None


class ProductReceived(MessageCallback):
    """A product."""

    product: ProductContent

    variants: ClassVar[Mapping[str, Example]] = {
        "product": {
            "product": {
                "productImage": "https://example.com/file",
                "businessOwnerJid": "5511988888888",
                "currencyCode": "BRL",
                "productId": "23940797548900636",
                "description": "",
                "productImageCount": 1,
                "price": 1.0,
                "url": "",
                "retailerId": "",
                "firstImageId": "",
                "title": "Shoes",
            }
        }
    }


class ReceivedOrderProduct(Wire):
    """A product in a cart; the price in thousandths."""

    quantity: int
    name: str
    product_id: str
    retailer_id: str | None = None
    price: float | None = None
    currency_code: str | None = None


class OrderContent(Wire):
    """A cart; sums in thousandths."""

    item_count: int
    order_id: str
    message: str | None = None
    order_title: str | None = None
    seller_jid: str
    thumbnail_url: str | None = None
    token: str
    currency: str | None = None
    total: float | None = None
    sub_total: float | None = None
    products: tuple[ReceivedOrderProduct, ...] = ()


class OrderReceived(MessageCallback):
    """A contact sent a cart."""

    order: OrderContent

    variants: ClassVar[Mapping[str, Example]] = {
        "order-cart": {
            "order": {
                "itemCount": 1,
                "orderId": "422508169684569",
                "message": "",
                "orderTitle": "Ana",
                "sellerJid": "5511999999999",
                "thumbnailUrl": "https://example.com/file",
                "token": "AR5d4yUr+DmSzeCR2kUtPEeMfS+eG0O+S/T/17B+oY1mfA==",
                "currency": "BRL",
                "total": 2000.0,
                "subTotal": 2000.0,
                "products": [
                    {
                        "quantity": 1,
                        "name": "Shoes",
                        "productId": "5338924696127051",
                        "retailerId": "1242",
                        "price": 2000.0,
                        "currencyCode": "BRL",
                    }
                ],
            }
        }
    }


class ReviewedProduct(Wire):
    """A product of an order."""

    name: str
    quantity: int
    is_custom_item: bool | None = None
    product_id: str | None = None
    value: float | None = None


class ReviewContent(Wire):
    """An order; the routes that update it require these ids."""

    currency: str
    reference_id: str
    order_request_id: str | None = None
    order_status: str
    payment_status: str | None = None
    total: float | None = None
    sub_total: float | None = None
    discount: float | None = None
    shipping: float | None = None
    tax: float | None = None
    products: tuple[ReviewedProduct, ...] = ()


class ReviewAndPayContent(ReviewContent):
    """`type` is the kind of goods."""

    type: str | None = None


_REVIEWED: Example = {
    "currency": "BRL",
    "referenceId": "4N9AVI38VOB",
    "orderRequestId": "4N9AVI38VYZ",
    "paymentStatus": "pending",
    "total": 605.0,
    "subTotal": 600.0,
    "discount": 10.0,
    "shipping": 5.0,
    "tax": 10.0,
    "products": [
        {
            "name": "Shoes",
            "quantity": 2,
            "isCustomItem": True,
            "productId": "custom-item-4N9AVI38WI1",
            "value": 150.0,
        },
        {
            "name": "Hats",
            "quantity": 2,
            "isCustomItem": False,
            "productId": "23940797548900636",
            "value": 150.0,
        },
    ],
}


class ReviewAndPayReceived(MessageCallback):
    """An order to review and pay."""

    review_and_pay: ReviewAndPayContent

    variants: ClassVar[Mapping[str, Example]] = {
        "order-sent": {
            "reviewAndPay": {"type": "physical-goods", "orderStatus": "pending", **_REVIEWED}
        }
    }


class ReviewOrderReceived(MessageCallback):
    """An order was updated."""

    review_order: ReviewContent

    variants: ClassVar[Mapping[str, Example]] = {
        "order-update": {"reviewOrder": {"orderStatus": "processing", **_REVIEWED}}
    }
