"""The catalogue of a business: products, and collections of them.

Prices are written in whole units of the currency and read as texts in thousandths.
"""

from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from gateway.contract.documented import Example
from gateway.contract.operation import Operation, RouteAddress, Success
from gateway.contract.scopes import ApiScope
from gateway.contract.urls import WRITTEN_URL, WrittenUrl
from gateway.contract.wire import Matching, OmitIfNone, Phone, Wire

_FAILURES = (404, 503)
_PHONE = "5511999999999"
_PRODUCT, _COLLECTION = "4741575945866725", "1072603710847740"
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=150)]
_Id = Annotated[str, Matching(r"^\d{1,25}$", "must be an id of digits")]
_Cursor = Annotated[str, StringConstraints(max_length=1_000)]
_Ids = Annotated[tuple[_Id, ...], Field(max_length=1_000)]


AVAILABLE = "99"
"""What WhatsApp answers as the quantity of a product in a collection, where no other is set."""


class ProductSaved(Wire):
    """The product."""

    id: str


class SaveProduct(Operation[ProductSaved], method="POST", path="/products"):
    """Adds a product, or changes the one of the same `retailerId`."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {
        "currency": "BRL",
        "description": "A loaf of rye bread",
        "images": ["https://example.com/bread.png"],
        "isHidden": False,
        "name": "Rye bread",
        "price": 20,
        "salePrice": 18,
        "retailerId": "002",
        "url": "https://example.com/bread",
    }
    example_minimal: ClassVar[Example] = {"currency": "BRL", "name": "Rye bread", "price": 20}
    answer_example: ClassVar[Any] = {"id": _PRODUCT}
    failures = (503,)

    currency: Annotated[str, Matching(r"^[A-Z]{3}$", "must be a currency code such as BRL")]
    name: _Name
    price: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
    description: Annotated[str, StringConstraints(max_length=5_000)] = ""
    images: Annotated[tuple[WrittenUrl, ...], Field(max_length=10)] = ()
    is_hidden: bool = False
    sale_price: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] | None = None
    retailer_id: Annotated[str, StringConstraints(max_length=100)] | None = None
    url: Annotated[str, StringConstraints(max_length=2_048), WRITTEN_URL] | None = None


class Product(Wire):
    """A product as the catalogue shows it; prices are texts in thousandths.

    Only in a collection WhatsApp says how many may be ordered: `quantity`.
    """

    availability: str = "in stock"
    id: str
    retailer_id: str | None
    description: str
    price: str
    sale_price: str | None
    currency: str
    name: str
    quantity: str | None = None
    url: str | None = OmitIfNone
    is_hidden: bool
    images: tuple[str, ...]


_SHOWN = {
    "availability": "in stock",
    "id": _PRODUCT,
    "retailerId": "002",
    "description": "A loaf of rye bread",
    "price": "20000",
    "salePrice": "18000",
    "currency": "BRL",
    "name": "Rye bread",
    "quantity": None,
    "url": "https://example.com/bread",
    "isHidden": False,
    "images": ["https://example.com/bread.png"],
}


class Catalog(Wire):
    """A page of a catalogue; without `nextCursor` it was the last."""

    cart_enabled: bool
    next_cursor: str | None
    products: tuple[Product, ...]


class CatalogOperation(Operation[Catalog]):
    """A page of products."""

    example: ClassVar[Example] = {"nextCursor": _PRODUCT}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "cartEnabled": True,
        "nextCursor": None,
        "products": [_SHOWN],
    }
    failures = (503,)

    next_cursor: _Cursor | None = None


class ReadOwnCatalog(
    CatalogOperation, method="GET", path="/catalogs", also=(RouteAddress("POST", "/catalogs"),)
):
    """The catalogue of this number; POST takes a cursor too long for an address."""

    scope = ApiScope.READ


class ReadCatalog(
    CatalogOperation,
    method="GET",
    path="/catalogs/{phone}",
    also=(RouteAddress("POST", "/catalogs/{phone}"),),
):
    """The catalogue of any business."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"phone": _PHONE, "nextCursor": _PRODUCT}
    example_minimal: ClassVar[Example] = {"phone": _PHONE}

    phone: Phone


class ShownProduct(Wire):
    """A product and the catalogue it is in."""

    cart_enabled: bool
    catalog_id: str
    product: Product


class ReadProduct(Operation[ShownProduct], method="GET", path="/products/{product_id}"):
    """One product."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"productId": _PRODUCT}
    answer_example: ClassVar[Any] = {
        "cartEnabled": True,
        "catalogId": "99999999999999999",
        "product": _SHOWN,
    }
    failures = _FAILURES

    product_id: _Id


class DeleteProduct(
    Operation[Success],
    method="DELETE",
    path="/products/{product_id}",
    also=(RouteAddress("DELETE", "/product/{product_id}"),),
):
    """Removes a product."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"productId": _PRODUCT}
    failures = _FAILURES

    product_id: _Id


class SetCart(Operation[Success], method="POST", path="/catalogs/config"):
    """Whether people can put products into a cart."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"cartEnabled": True}
    failures = (503,)

    cart_enabled: bool


class CollectionCreated(Wire):
    """The new collection."""

    collection_id: str


class CreateCollection(Operation[CollectionCreated], method="POST", path="/catalogs/collection"):
    """Makes a collection of products."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"name": "Bread", "productIds": [_PRODUCT]}
    answer_example: ClassVar[Any] = {"collectionId": _COLLECTION}
    failures = _FAILURES

    name: _Name
    product_ids: _Ids


class ListedCollection(Wire):
    """A collection; WhatsApp approves it first."""

    id: str
    name: str
    status: str


class Collections(Wire):
    """A page of collections."""

    next_cursor: str | None
    collections: tuple[ListedCollection, ...]


class ListCollections(Operation[Collections], method="GET", path="/catalogs/collection"):
    """The collections of this number."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"nextCursor": _COLLECTION}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "nextCursor": None,
        "collections": [{"id": _COLLECTION, "name": "Bread", "status": "APPROVED"}],
    }
    failures = (503,)

    next_cursor: _Cursor | None = None


class DeleteCollection(
    Operation[Success], method="DELETE", path="/catalogs/collection/{collection_id}"
):
    """Removes a collection; its products stay."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"collectionId": _COLLECTION}
    failures = _FAILURES

    collection_id: _Id


class CollectionChanged(Wire):
    """The collection after the change; other products give it another id."""

    success: bool = True
    collection_id: str


class CollectionOperation(Operation[CollectionChanged]):
    """About one collection of this number."""

    answer_example: ClassVar[Any] = {"success": True, "collectionId": _COLLECTION}
    failures = _FAILURES

    collection_id: _Id


class RenameCollection(
    CollectionOperation, method="POST", path="/catalogs/collection-edit/{collection_id}"
):
    """Gives a collection another name."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"collectionId": _COLLECTION, "name": "Bread and rolls"}

    name: _Name


class CollectionProductsOperation(CollectionOperation):
    """Changes which products are in a collection."""

    example: ClassVar[Example] = {"collectionId": _COLLECTION, "productIds": [_PRODUCT]}

    product_ids: _Ids


class AddToCollection(
    CollectionProductsOperation, method="POST", path="/catalogs/collection/add-product"
):
    """Adds products to a collection, which gets another id."""

    scope = ApiScope.SEND


class RemoveFromCollection(
    CollectionProductsOperation, method="POST", path="/catalogs/collection/remove-product"
):
    """Takes products out of a collection, which gets another id."""

    scope = ApiScope.SEND


class CollectionProducts(Wire):
    """A page of a collection's products."""

    next_cursor: str | None
    products: tuple[Product, ...]


class ListCollectionProducts(
    Operation[CollectionProducts], method="GET", path="/catalogs/collection-products/{phone}"
):
    """The products of a collection of any business."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {
        "phone": _PHONE,
        "collectionId": _COLLECTION,
        "nextCursor": _PRODUCT,
    }
    example_minimal: ClassVar[Example] = {"phone": _PHONE, "collectionId": _COLLECTION}
    answer_example: ClassVar[Any] = {
        "nextCursor": None,
        "products": [{**_SHOWN, "quantity": AVAILABLE}],
    }
    failures = _FAILURES

    phone: Phone
    collection_id: _Id
    next_cursor: _Cursor | None = None
