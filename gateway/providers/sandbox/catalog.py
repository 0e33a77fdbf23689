"""The catalogue of a simulated business: products and collections."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success
from gateway.contract.zapi.business.catalog import (
    AVAILABLE,
    AddToCollection,
    Catalog,
    CollectionChanged,
    CollectionCreated,
    CollectionProducts,
    Collections,
    CreateCollection,
    DeleteCollection,
    DeleteProduct,
    ListCollectionProducts,
    ListCollections,
    ListedCollection,
    Product,
    ProductSaved,
    ReadCatalog,
    ReadOwnCatalog,
    ReadProduct,
    RemoveFromCollection,
    RenameCollection,
    SaveProduct,
    SetCart,
    ShownProduct,
)
from gateway.errors import NotFound
from gateway.providers.sandbox.account import PhoneAccount, account_of, change_account
from gateway.providers.sandbox.business_profile import business_of
from gateway.providers.sandbox.entities import Entity, StoredEntity, no_such
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.shared_chats import new_id

operations: Handlers[SandboxSession] = Handlers()

Kind = TypeVar("Kind", bound=Entity)
_PAGE_SIZE = 100


class StoredProduct(Entity):
    """A stored product; prices in whole units."""

    kind = "product"

    saved: SaveProduct

    def shown(self, id_: str) -> Product:
        saved = self.saved
        return Product(
            id=id_,
            retailer_id=saved.retailer_id,
            description=saved.description,
            price=_thousandths(saved.price),
            sale_price=None if saved.sale_price is None else _thousandths(saved.sale_price),
            currency=saved.currency,
            name=saved.name,
            url=saved.url,
            is_hidden=saved.is_hidden,
            images=saved.images,
        )


class StoredCollection(Entity):
    """A collection; its id changes with its products."""

    kind = "collection"

    name: str
    product_ids: list[str]


@operations.handles(SaveProduct)
async def save_product(session: SandboxSession, operation: SaveProduct) -> ProductSaved:
    await session.own_phone()
    here, entities = session.spec.instance_id, session.context.entities
    if operation.retailer_id is not None:
        for stored in await entities.own(StoredProduct, here):
            if stored.entity.saved.retailer_id == operation.retailer_id:

                def alter(product: StoredProduct) -> None:
                    product.saved = operation

                await entities.change(StoredProduct, stored.id, alter, of=here)
                return ProductSaved(id=stored.id)
    id_ = new_id(session)
    await entities.add(StoredProduct(saved=operation), id_, of=here)
    return ProductSaved(id=id_)


@operations.handles(ReadOwnCatalog)
async def read_own_catalog(session: SandboxSession, operation: ReadOwnCatalog) -> Catalog:
    await session.own_phone()
    return await _catalog(session, session.spec.instance_id, operation.next_cursor)


@operations.handles(ReadCatalog)
async def read_catalog(session: SandboxSession, operation: ReadCatalog) -> Catalog:
    """Returns the catalogue of a number; hidden products are only in its own."""
    owner = await business_of(session, operation.phone)
    if owner is None:
        return Catalog(cart_enabled=False, next_cursor=None, products=())
    return await _catalog(session, owner, operation.next_cursor)


async def _catalog(session: SandboxSession, owner: str, cursor: str | None) -> Catalog:
    stored, next_cursor = await _page(session, StoredProduct, owner, cursor)
    own = owner == session.spec.instance_id
    return Catalog(
        cart_enabled=(await account_of(session, owner)).cart_enabled,
        next_cursor=next_cursor,
        products=tuple(
            each.entity.shown(each.id) for each in stored if own or not each.entity.saved.is_hidden
        ),
    )


@operations.handles(ReadProduct)
async def read_product(session: SandboxSession, operation: ReadProduct) -> ShownProduct:
    await session.own_phone()
    stored = await session.context.entities.get(StoredProduct, operation.product_id)
    return ShownProduct(
        cart_enabled=(await account_of(session, stored.instance_id)).cart_enabled,
        catalog_id=str(int(stored.instance_id[:12], 36)),
        product=stored.entity.shown(stored.id),
    )


@operations.handles(DeleteProduct)
async def delete_product(session: SandboxSession, operation: DeleteProduct) -> Success:
    return await _delete(session, StoredProduct, operation.product_id)


@operations.handles(SetCart)
async def set_cart(session: SandboxSession, operation: SetCart) -> Success:
    def alter(account: PhoneAccount) -> Success:
        account.cart_enabled = operation.cart_enabled
        return Success()

    return await change_account(session, alter)


@operations.handles(CreateCollection)
async def create_collection(
    session: SandboxSession, operation: CreateCollection
) -> CollectionCreated:
    await session.own_phone()
    await _require_products(session, operation.product_ids)
    id_ = new_id(session)
    collection = StoredCollection(name=operation.name, product_ids=list(operation.product_ids))
    await session.context.entities.add(collection, id_, of=session.spec.instance_id)
    return CollectionCreated(collection_id=id_)


@operations.handles(ListCollections)
async def list_collections(session: SandboxSession, operation: ListCollections) -> Collections:
    await session.own_phone()
    here = session.spec.instance_id
    stored, next_cursor = await _page(session, StoredCollection, here, operation.next_cursor)
    return Collections(
        next_cursor=next_cursor,
        collections=tuple(
            ListedCollection(id=each.id, name=each.entity.name, status="APPROVED")
            for each in stored
        ),
    )


@operations.handles(DeleteCollection)
async def delete_collection(session: SandboxSession, operation: DeleteCollection) -> Success:
    return await _delete(session, StoredCollection, operation.collection_id)


@operations.handles(RenameCollection)
async def rename_collection(
    session: SandboxSession, operation: RenameCollection
) -> CollectionChanged:
    await session.own_phone()

    def alter(collection: StoredCollection) -> None:
        collection.name = operation.name

    await session.context.entities.change(
        StoredCollection, operation.collection_id, alter, of=session.spec.instance_id
    )
    return CollectionChanged(collection_id=operation.collection_id)


@operations.handles(AddToCollection)
async def add_to_collection(
    session: SandboxSession, operation: AddToCollection
) -> CollectionChanged:
    await _require_products(session, operation.product_ids)
    return await _replace_products(
        session,
        operation.collection_id,
        lambda ids: list(dict.fromkeys([*ids, *operation.product_ids])),
    )


@operations.handles(RemoveFromCollection)
async def remove_from_collection(
    session: SandboxSession, operation: RemoveFromCollection
) -> CollectionChanged:
    return await _replace_products(
        session,
        operation.collection_id,
        lambda ids: [each for each in ids if each not in operation.product_ids],
    )


async def _replace_products(
    session: SandboxSession, id_: str, products: Callable[[list[str]], list[str]]
) -> CollectionChanged:
    """Replaces the products of a collection, which then gets a new id."""
    await session.own_phone()
    here, entities = session.spec.instance_id, session.context.entities
    stored = await entities.get(StoredCollection, id_, of=here)
    if not await entities.remove(StoredCollection, here, id_):
        raise no_such(StoredCollection)
    new = new_id(session)
    changed = stored.entity.model_copy(update={"product_ids": products(stored.entity.product_ids)})
    await entities.add(changed, new, of=here)
    return CollectionChanged(collection_id=new)


@operations.handles(ListCollectionProducts)
async def list_collection_products(
    session: SandboxSession, operation: ListCollectionProducts
) -> CollectionProducts:
    owner = await business_of(session, operation.phone)
    entities = session.context.entities
    stored = (
        await entities.find(StoredCollection, operation.collection_id, of=owner) if owner else None
    )
    if stored is None:
        raise no_such(StoredCollection)
    after = operation.next_cursor or ""
    ids = sorted(id_ for id_ in stored.entity.product_ids if id_ > after)
    more = ids[_PAGE_SIZE - 1] if len(ids) > _PAGE_SIZE else None
    found = [await entities.find(StoredProduct, id_, of=owner) for id_ in ids[:_PAGE_SIZE]]
    return CollectionProducts(
        next_cursor=more,
        products=tuple(
            product.entity.shown(product.id).model_copy(update={"quantity": AVAILABLE})
            for product in found
            if product
        ),
    )


async def _page(
    session: SandboxSession, kind: type[Kind], owner: str, cursor: str | None
) -> tuple[list[StoredEntity[Kind]], str | None]:
    stored = await session.context.entities.own(
        kind, owner, after=cursor or "", max_count=_PAGE_SIZE + 1
    )
    return stored[:_PAGE_SIZE], stored[_PAGE_SIZE - 1].id if len(stored) > _PAGE_SIZE else None


async def _delete(session: SandboxSession, kind: type[Entity], id_: str) -> Success:
    await session.own_phone()
    if not await session.context.entities.remove(kind, session.spec.instance_id, id_):
        raise no_such(kind)
    return Success()


async def _require_products(session: SandboxSession, ids: Sequence[str]) -> None:
    for id_ in ids:
        here = session.spec.instance_id
        if await session.context.entities.find(StoredProduct, id_, of=here) is None:
            raise NotFound(f"There is no product {id_}")


def _thousandths(price: float) -> str:
    return str(round(price * 1_000))
