"""Business profiles and catalogues."""

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pywhats.binary import Node

from tests.providers.fake_whatsapp.stanzas import jid_in

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.accounts import Account
    from tests.providers.fake_whatsapp.websocket import Connection

_NUMBERS = itertools.count(7000000001)
_SINGLE = ("address", "description", "email", "categories", "business_hours")
_TEXTS = ("name", "description", "retailer_id", "price", "currency")
_DEFAULT_LIMIT = 10


@dataclass
class Product:
    id: str
    texts: dict[str, str]
    images: list[str]
    is_hidden: bool = False

    def node(self) -> Node:
        known = {"id": self.id, **self.texts, "url": f"https://wa.me/p/{self.id}"}
        content = [Node(name, {}, text.encode()) for name, text in known.items()]
        images = [_image(url) for url in self.images]
        status = Node("status_info", {}, [Node("status", {}, b"APPROVED")])
        hidden = {"is_hidden": "true"} if self.is_hidden else {}
        return Node("product", dict(hidden), [*content, Node("media", {}, images), status])


def _image(url: str) -> Node:
    names = ("request_image_url", "original_image_url")
    return Node("image", {}, [Node(name, {}, url.encode()) for name in names])


@dataclass
class Business:
    """What an account shows as a business; a person's account shows nothing."""

    profile: dict[str, Node] = field(default_factory=dict)
    websites: list[Node] = field(default_factory=list)
    products: dict[str, Product] = field(default_factory=dict)
    collections: dict[str, list[str]] = field(default_factory=dict)
    """The ids of the products of each collection, by its name."""


async def profile(connection: "Connection", query: Node) -> list[Node] | None:
    """Returns profiles, or changes the parts of the own one that the query has."""
    asked = query.get_child("business_profile")
    assert asked
    if query.get_str("type") == "set":
        assert connection.account
        own = connection.account.business
        for part in asked.get_children():
            if part.tag in _SINGLE:
                own.profile[part.tag] = part
        if websites := asked.get_children("website"):
            own.websites = websites
        return None
    found = [_profile(connection, each) for each in asked.get_children("profile")]
    return [Node("business_profile", {}, found)]


def _profile(connection: "Connection", asked: Node) -> Node:
    jid = jid_in(asked, "jid")
    account = connection.universe.find(jid)
    shown = account.business if account else Business()
    return Node("profile", {"jid": jid}, [*shown.profile.values(), *shown.websites])


async def catalogue(connection: "Connection", query: Node) -> list[Node] | None:
    account, asked = connection.account, query.get_children()[0]
    assert account
    match asked.tag:
        case "product_catalog":
            return _listed(connection, asked)
        case "collections":
            return _collections(connection, asked)
        case "product_catalog_add":
            added = _changed(Product(str(next(_NUMBERS)), {}, []), _only(asked, "product"))
            account.business.products[added.id] = added
            return [Node(asked.tag, {}, [added.node()])]
        case "product_catalog_edit":
            return _edited(account, _only(asked, "product"))
        case "product_catalog_delete":
            ids = [_text(product, "id") for product in asked.get_children("product")]
            gone = [account.business.products.pop(number, None) for number in ids]
            count = sum(product is not None for product in gone)
            return [Node(asked.tag, {"deleted_count": str(count)})]
        case tag:
            connection.universe.unknown[f"w:biz:catalog {tag}"] += 1
            return None


def _listed(connection: "Connection", asked: Node) -> list[Node]:
    account = connection.universe.find(jid_in(asked, "jid"))
    products = list(account.business.products.values()) if account else []
    if account is not connection.account:
        products = [product for product in products if not product.is_hidden]
    ids, after = [product.id for product in products], _text(asked, "after")
    start = ids.index(after) + 1 if after in ids else 0
    page = products[start : start + int(_text(asked, "limit") or _DEFAULT_LIMIT)]
    content = [product.node() for product in page]
    if page and page[-1].id != ids[-1]:
        content.append(Node("paging", {}, [Node("after", {}, page[-1].id.encode())]))
    return [Node("product_catalog", {}, content)]


def _collections(connection: "Connection", asked: Node) -> list[Node]:
    account = connection.universe.find(jid_in(asked, "biz_jid"))
    business = account.business if account else Business()
    found = []
    for number, (name, ids) in enumerate(business.collections.items()):
        products = [business.products[i].node() for i in ids if i in business.products]
        named = [Node("id", {}, str(number).encode()), Node("name", {}, name.encode())]
        status = [Node("status", {}, b"APPROVED"), Node("can_appeal", {}, b"false")]
        found.append(Node("collection", {}, [*named, *products, Node("status_info", {}, status)]))
    return [Node("collections", {}, found[: int(_text(asked, "collection_limit") or "51")])]


def _edited(account: "Account", change: Node) -> list[Node]:
    product = account.business.products.get(_text(change, "id"))
    if product is None:
        return [Node("error", {"code": "404", "text": "item-not-found"})]
    return [Node("product_catalog_edit", {}, [_changed(product, change).node()])]


def _changed(product: Product, change: Node) -> Product:
    product.texts |= {name: _text(change, name) for name in _TEXTS if change.get_child(name)}
    if media := change.get_child("media"):
        product.images = [_text(image, "url") for image in media.get_children("image")]
    if "is_hidden" in change.attrs:
        product.is_hidden = change.get_str("is_hidden") == "true"
    return product


def _only(node: Node, tag: str) -> Node:
    child = node.get_child(tag)
    assert child
    return child


def _text(node: Node, tag: str) -> str:
    child = node.get_child(tag)
    return child.content_bytes().decode() if child else ""
