"""Catalogues: products, and collections of them. Collections can be read only."""

from collections.abc import AsyncIterator
from typing import Any

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success
from gateway.contract.zapi.business.catalog import (
    AVAILABLE,
    Catalog,
    CollectionProducts,
    Collections,
    DeleteProduct,
    ListCollectionProducts,
    ListCollections,
    ListedCollection,
    Product,
    ProductSaved,
    ReadCatalog,
    ReadOwnCatalog,
    ReadProduct,
    SaveProduct,
    ShownProduct,
)
from gateway.errors import NotFound
from gateway.whatsapp_web.jids import jid_of
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()

Found = dict[str, Any]
_THOUSANDTHS = 1000
_PAGE = 100
_MAX_PAGES = 50
_COUNTRY = "BR"


@operations.handles(ReadOwnCatalog)
async def read_own_catalog(session: WebSession, operation: ReadOwnCatalog) -> Catalog:
    return await _page(session, session.own_phone or "", operation.next_cursor)


@operations.handles(ReadCatalog)
async def read_catalog(session: WebSession, operation: ReadCatalog) -> Catalog:
    return await _page(session, operation.phone, operation.next_cursor)


async def _page(session: WebSession, phone: str, cursor: str | None) -> Catalog:
    found = await session.call("catalog", jid=jid_of(phone), limit=_PAGE, cursor=cursor)
    products = tuple(_shown(each) for each in found["products"])
    # WhatsApp does not say whether people may fill a cart.
    return Catalog(cart_enabled=True, next_cursor=found["cursor"], products=products)


@operations.handles(ReadProduct)
async def read_product(session: WebSession, operation: ReadProduct) -> ShownProduct:
    phone = session.own_phone or ""
    async for product in _own_products(session):
        if product["id"] == operation.product_id:
            return ShownProduct(cart_enabled=True, catalog_id=phone, product=_shown(product))
    raise NotFound(f"product {operation.product_id} is not in the catalogue")


@operations.handles(SaveProduct)
async def save_product(session: WebSession, operation: SaveProduct) -> ProductSaved:
    known = None
    if operation.retailer_id is not None:
        async for product in _own_products(session):
            if product.get("retailerId") == operation.retailer_id:
                known = product["id"]
                break
    saved = await session.call(
        "save_product",
        id=known,
        product=_written(operation),
        images=[await session.picture(url) for url in operation.images],
    )
    return ProductSaved(id=saved)


@operations.handles(DeleteProduct)
async def delete_product(session: WebSession, operation: DeleteProduct) -> Success:
    if not await session.call("delete_product", id=operation.product_id):
        raise NotFound(f"product {operation.product_id} is not in the catalogue")
    return Success()


@operations.handles(ListCollections)
async def list_collections(session: WebSession, _operation: ListCollections) -> Collections:
    found = await session.call("collections", jid=jid_of(session.own_phone or ""))
    listed = (
        ListedCollection(id=c["id"], name=c["name"], status=c["status"]["status"]) for c in found
    )
    return Collections(next_cursor=None, collections=tuple(listed))


@operations.handles(ListCollectionProducts)
async def list_products(
    session: WebSession, operation: ListCollectionProducts
) -> CollectionProducts:
    """Returns the products that WhatsApp lists with the collection, which are its first ones."""
    found = await session.call("collections", jid=jid_of(operation.phone))
    for collection in found:
        if collection["id"] == operation.collection_id:
            products = (_shown(each, quantity=AVAILABLE) for each in collection["products"])
            return CollectionProducts(next_cursor=None, products=tuple(products))
    raise NotFound(f"collection {operation.collection_id} is not in the catalogue")


async def _own_products(session: WebSession) -> AsyncIterator[Found]:
    jid, cursor = jid_of(session.own_phone or ""), None
    for _ in range(_MAX_PAGES):
        page = await session.call("catalog", jid=jid, limit=_PAGE, cursor=cursor)
        for product in page["products"]:
            yield product
        if (cursor := page["cursor"]) is None:
            return


def _shown(found: Found, quantity: str | None = None) -> Product:
    images = found.get("imageUrls") or {}
    urls = (images.get("original"), images.get("requested"))
    return Product(
        availability=found.get("availability") or "in stock",
        id=found["id"],
        retailer_id=found.get("retailerId") or None,
        description=found.get("description") or "",
        price=str(int(found.get("price") or 0)),
        sale_price=None,
        currency=found.get("currency") or "",
        name=found.get("name") or "",
        quantity=quantity,
        url=found.get("url") or None,
        is_hidden=bool(found.get("isHidden")),
        images=tuple(url for url in urls[:1] if url),
    )


def _written(saved: SaveProduct) -> Found:
    written: Found = {
        "name": saved.name,
        "description": saved.description,
        "price": round(saved.price * _THOUSANDTHS),
        "currency": saved.currency,
        "isHidden": saved.is_hidden,
        "originCountryCode": _COUNTRY,
    }
    if saved.retailer_id is not None:
        written["retailerId"] = saved.retailer_id
    if saved.url is not None:
        written["url"] = saved.url
    return written
