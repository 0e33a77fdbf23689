"""Translates products and orders of WhatsApp into Z-API's fields."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.whatsapp_web.jids import chat_of

Fields = Mapping[str, Any]

_THOUSANDTHS = 1000
ORDERS: Final[Mapping[str, str]] = {
    "review_and_pay": "reviewAndPay",
    "review_order": "reviewOrder",
}
"""Z-API's name of the message, by WhatsApp's name of the button that shows the order."""


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
    """Returns sums in thousandths, as WhatsApp has them; only its servers have the products."""
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


def order(button: Fields) -> dict[str, Any]:
    """Returns the order in a button's parameters, with the ids that an update of it needs."""
    details = button.get("order", {})
    return {
        "currency": button.get("currency", ""),
        "referenceId": button.get("reference_id", ""),
        "orderRequestId": button.get("order_request_id"),
        "orderStatus": details.get("status", "pending"),
        "paymentStatus": button.get("payment_status"),
        "type": button.get("type"),
        "total": _amount(button.get("total_amount")),
        "subTotal": _amount(details.get("subtotal")),
        "discount": _amount(details.get("discount")),
        "shipping": _amount(details.get("shipping")),
        "tax": _amount(details.get("tax")),
        "products": [_product(item) for item in details.get("items", ())],
    }


def _product(item: Fields) -> dict[str, Any]:
    product_id = item.get("product_id") or item.get("retailer_id")
    return {
        "name": item.get("name", ""),
        "quantity": item.get("quantity", 0),
        "isCustomItem": item.get("isCustomItem"),
        "productId": product_id,
        "value": _amount(item.get("amount")),
    }


def _amount(money: Fields | None) -> float | None:
    return float(money["value"] / money["offset"]) if money else None


def pix_key(button: Fields) -> dict[str, Any] | None:
    """Returns the PIX key in a button's parameters; None without one."""
    keys = [
        s["pix_static_code"] for s in button.get("payment_settings", ()) if "pix_static_code" in s
    ]
    if not keys:
        return None
    return {
        "currency": button.get("currency", ""),
        "referenceId": button.get("reference_id", ""),
        "key": keys[0].get("key", ""),
        "keyType": keys[0].get("key_type", ""),
        "merchantName": keys[0].get("merchant_name", ""),
    }
