"""Products and orders as callers are told them."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.providers.whatsmeow.jids import chat_of

Fields = Mapping[str, Any]

_THOUSANDTHS = 1000
ORDERS: Final[Mapping[str, str]] = {
    "review_and_pay": "reviewAndPay",
    "review_order": "reviewOrder",
}
"""What Z-API calls the button that shows an order."""


def product(body: Fields) -> dict[str, Any]:
    shown = body.get("product", {})
    price = shown.get("priceAmount1000")
    return {
        "businessOwnerJid": chat_of(body.get("businessOwnerJID", "")),
        "productId": shown.get("productID", ""),
        "title": shown.get("title"),
        "description": shown.get("description"),
        "currencyCode": shown.get("currencyCode"),
        "price": int(price) / _THOUSANDTHS if price else None,
        "url": shown.get("URL"),
        "retailerId": shown.get("retailerID"),
        "firstImageId": shown.get("firstImageID"),
        "productImageCount": shown.get("productImageCount"),
    }


def cart(body: Fields) -> dict[str, Any]:
    """Sums in thousandths, as WhatsApp has them; its lines are on WhatsApp's servers alone."""
    total = body.get("totalAmount1000")
    return {
        "itemCount": body.get("itemCount", 0),
        "orderId": body.get("orderID", ""),
        "message": body.get("message"),
        "orderTitle": body.get("orderTitle"),
        "sellerJid": chat_of(body.get("sellerJID", "")),
        "token": body.get("token", ""),
        "currency": body.get("totalCurrencyCode"),
        "total": float(total) if total else None,
        "subTotal": float(total) if total else None,
        "products": [],
    }


def order(operation: Fields) -> dict[str, Any]:
    """Of the parameters of a button; the ids are what changing the order asks for."""
    told = operation.get("order", {})
    return {
        "currency": operation.get("currency", ""),
        "referenceId": operation.get("reference_id", ""),
        "orderRequestId": operation.get("order_request_id"),
        "orderStatus": told.get("status", "pending"),
        "paymentStatus": operation.get("payment_status"),
        "type": operation.get("type"),
        "total": _amount(operation.get("total_amount")),
        "subTotal": _amount(told.get("subtotal")),
        "discount": _amount(told.get("discount")),
        "shipping": _amount(told.get("shipping")),
        "tax": _amount(told.get("tax")),
        "products": [_line(item) for item in told.get("items", ())],
    }


def _line(item: Fields) -> dict[str, Any]:
    own = item.get("product_id") or item.get("retailer_id")
    return {
        "name": item.get("name", ""),
        "quantity": item.get("quantity", 0),
        "isCustomItem": item.get("isCustomItem"),
        "productId": own,
        "value": _amount(item.get("amount")),
    }


def _amount(money: Fields | None) -> float | None:
    return float(money["value"] / money["offset"]) if money else None


def pix_key(operation: Fields) -> dict[str, Any] | None:
    """Of a button that shows where to pay to."""
    keys = [
        s["pix_static_code"]
        for s in operation.get("payment_settings", ())
        if "pix_static_code" in s
    ]
    if not keys:
        return None
    return {
        "currency": operation.get("currency", ""),
        "referenceId": operation.get("reference_id", ""),
        "key": keys[0].get("key", ""),
        "keyType": keys[0].get("key_type", ""),
        "merchantName": keys[0].get("merchant_name", ""),
    }
