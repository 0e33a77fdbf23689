"""A simulated business: its profile, and its catalogue of products and collections."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success
from gateway.contract.zapi.business.catalog import (
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
from gateway.contract.zapi.business.profile import (
    BusinessProfile,
    Category,
    Hours,
    Interval,
    ListCategories,
    ReadBusinessProfile,
    SetCategories,
    SetCompanyAddress,
    SetCompanyDescription,
    SetCompanyEmail,
    SetCompanySites,
    SetHours,
)
from gateway.errors import InvalidRequest, NotFound
from gateway.providers.sandbox.account import Account, account_of, change_account
from gateway.providers.sandbox.entities import Entity, Kept, no_such
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.shared_chats import new_id

operations: Handlers[SandboxSession] = Handlers()

Kind = TypeVar("Kind", bound=Entity)
_A_PAGE = 100
_CATEGORIES = (
    Category(display_name="Other", label="OTHER_COMPANIES", id="629412378414563"),
    Category(display_name="Restaurant", label="RESTAURANT", id="150108431712141"),
    Category(display_name="Bakery", id="1223524174334504"),
    Category(display_name="Education", label="EDUCATION", id="2250"),
    Category(display_name="Shopping and retail", label="SHOPPING_AND_RETAIL", id="200600219953504"),
)


class StoredProduct(Entity):
    """A product as it is kept; prices in whole units."""

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
    """A collection; it changes its id with its products."""

    kind = "collection"

    name: str
    product_ids: list[str]


@operations.handles(SetCompanyDescription)
async def set_description(session: SandboxSession, operation: SetCompanyDescription) -> Success:
    return await _set_profile(session, description=operation.value)


@operations.handles(SetCompanyAddress)
async def set_address(session: SandboxSession, operation: SetCompanyAddress) -> Success:
    return await _set_profile(session, address=operation.value)


@operations.handles(SetCompanyEmail)
async def set_email(session: SandboxSession, operation: SetCompanyEmail) -> Success:
    return await _set_profile(session, email=operation.value)


@operations.handles(SetCompanySites)
async def set_sites(session: SandboxSession, operation: SetCompanySites) -> Success:
    return await _set_profile(session, websites=operation.websites)


@operations.handles(SetHours)
async def set_hours(session: SandboxSession, operation: SetHours) -> Success:
    days = tuple(Interval(**day.model_dump()) for day in operation.days)
    hours = Hours(timezone=operation.timezone, days=days, mode=operation.mode)
    return await _set_profile(session, business_hours=hours)


@operations.handles(SetCategories)
async def set_categories(session: SandboxSession, operation: SetCategories) -> Success:
    known = {name: each for each in _CATEGORIES for name in (each.id, each.label) if name}
    if unknown := [name for name in operation.categories if name not in known]:
        raise InvalidRequest(f"categories: {unknown[0]} is not one of the available categories")
    return await _set_profile(
        session, categories=tuple(known[name] for name in operation.categories)
    )


async def _set_profile(session: SandboxSession, **fields: object) -> Success:
    def alter(account: Account) -> Success:
        account.business = account.business.model_copy(update=fields)
        return Success()

    return await change_account(session, alter)


@operations.handles(ListCategories)
async def list_categories(
    _session: SandboxSession, operation: ListCategories
) -> tuple[Category, ...]:
    wanted = operation.query.lower()
    return tuple(each for each in _CATEGORIES if wanted in each.display_name.lower())


@operations.handles(ReadBusinessProfile)
async def read_profile(session: SandboxSession, operation: ReadBusinessProfile) -> BusinessProfile:
    owner = await _business(session, operation.phone)
    return (await account_of(session, owner)).business if owner else BusinessProfile()


@operations.handles(SaveProduct)
async def save_product(session: SandboxSession, operation: SaveProduct) -> ProductSaved:
    await session.own_phone()
    here, entities = session.spec.instance_id, session.context.entities
    if operation.retailer_id is not None:
        for kept in await entities.own(StoredProduct, here):
            if kept.thing.saved.retailer_id == operation.retailer_id:

                def alter(product: StoredProduct) -> None:
                    product.saved = operation

                await entities.change(StoredProduct, kept.id, alter, of=here)
                return ProductSaved(id=kept.id)
    id_ = new_id(session)
    await entities.add(StoredProduct(saved=operation), id_, of=here)
    return ProductSaved(id=id_)


@operations.handles(ReadOwnCatalog)
async def read_own_catalog(session: SandboxSession, operation: ReadOwnCatalog) -> Catalog:
    await session.own_phone()
    return await _catalog(session, session.spec.instance_id, operation.next_cursor)


@operations.handles(ReadCatalog)
async def read_catalog(session: SandboxSession, operation: ReadCatalog) -> Catalog:
    """Others do not see what is hidden."""
    owner = await _business(session, operation.phone)
    if owner is None:
        return Catalog(cart_enabled=False, next_cursor=None, products=())
    return await _catalog(session, owner, operation.next_cursor)


async def _catalog(session: SandboxSession, owner: str, cursor: str | None) -> Catalog:
    kept, next_cursor = await _page(session, StoredProduct, owner, cursor)
    own = owner == session.spec.instance_id
    return Catalog(
        cart_enabled=(await account_of(session, owner)).cart_enabled,
        next_cursor=next_cursor,
        products=tuple(
            each.thing.shown(each.id) for each in kept if own or not each.thing.saved.is_hidden
        ),
    )


@operations.handles(ReadProduct)
async def read_product(session: SandboxSession, operation: ReadProduct) -> ShownProduct:
    await session.own_phone()
    kept = await session.context.entities.get(StoredProduct, operation.product_id)
    return ShownProduct(
        cart_enabled=(await account_of(session, kept.instance_id)).cart_enabled,
        catalog_id=str(int(kept.instance_id[:12], 36)),
        product=kept.thing.shown(kept.id),
    )


@operations.handles(DeleteProduct)
async def delete_product(session: SandboxSession, operation: DeleteProduct) -> Success:
    return await _delete(session, StoredProduct, operation.product_id)


@operations.handles(SetCart)
async def set_cart(session: SandboxSession, operation: SetCart) -> Success:
    def alter(account: Account) -> Success:
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
    kept, next_cursor = await _page(session, StoredCollection, here, operation.next_cursor)
    return Collections(
        next_cursor=next_cursor,
        collections=tuple(
            ListedCollection(id=each.id, name=each.thing.name, status="APPROVED") for each in kept
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
    return await _renew(
        session,
        operation.collection_id,
        lambda ids: list(dict.fromkeys([*ids, *operation.product_ids])),
    )


@operations.handles(RemoveFromCollection)
async def remove_from_collection(
    session: SandboxSession, operation: RemoveFromCollection
) -> CollectionChanged:
    return await _renew(
        session,
        operation.collection_id,
        lambda ids: [each for each in ids if each not in operation.product_ids],
    )


async def _renew(
    session: SandboxSession, id_: str, products: Callable[[list[str]], list[str]]
) -> CollectionChanged:
    """Other products give a collection another id."""
    await session.own_phone()
    here, entities = session.spec.instance_id, session.context.entities
    kept = await entities.get(StoredCollection, id_, of=here)
    if not await entities.remove(StoredCollection, here, id_):
        raise no_such(StoredCollection)
    new = new_id(session)
    changed = kept.thing.model_copy(update={"product_ids": products(kept.thing.product_ids)})
    await entities.add(changed, new, of=here)
    return CollectionChanged(collection_id=new)


@operations.handles(ListCollectionProducts)
async def list_collection_products(
    session: SandboxSession, operation: ListCollectionProducts
) -> CollectionProducts:
    owner = await _business(session, operation.phone)
    entities = session.context.entities
    kept = (
        await entities.find(StoredCollection, operation.collection_id, of=owner) if owner else None
    )
    if kept is None:
        raise no_such(StoredCollection)
    after = operation.next_cursor or ""
    ids = sorted(id_ for id_ in kept.thing.product_ids if id_ > after)
    more = ids[_A_PAGE - 1] if len(ids) > _A_PAGE else None
    found = [await entities.find(StoredProduct, id_, of=owner) for id_ in ids[:_A_PAGE]]
    return CollectionProducts(
        next_cursor=more,
        products=tuple(product.thing.shown(product.id) for product in found if product),
    )


async def _business(session: SandboxSession, phone: str) -> str | None:
    """The instance of a number, where it is one."""
    if phone == await session.own_phone():
        return session.spec.instance_id
    return await session.context.entities.owner_of(phone)


async def _page(
    session: SandboxSession, kind: type[Kind], owner: str, cursor: str | None
) -> tuple[list[Kept[Kind]], str | None]:
    kept = await session.context.entities.own(
        kind, owner, after=cursor or "", max_count=_A_PAGE + 1
    )
    return kept[:_A_PAGE], kept[_A_PAGE - 1].id if len(kept) > _A_PAGE else None


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
