"""Products, collections and tags: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.zapi.business.catalog import (
    CollectionOperation,
    CollectionProductsOperation,
    CreateCollection,
    DeleteCollection,
    DeleteProduct,
    ListCollectionProducts,
    ReadProduct,
    SaveProduct,
)
from gateway.contract.zapi.business.tags import CreateTag, DeleteTag, EditTag, RemoveTag, TagOnChat
from gateway.documents.postman_setup import PostmanSetup, Precondition

_CREATED_PRODUCT = PostmanSetup(order=1, values={"productId": "{{productId}}"})
_CREATED_TAG = PostmanSetup(order=1, values={"tagId": "{{tagId}}"})
_CREATED_TAG_OF_CHAT = PostmanSetup(order=1, values={"tag": "{{tagId}}"})

SETUPS: Mapping[type, PostmanSetup] = {
    SaveProduct: PostmanSetup(saves={"productId": "id"}),
    ReadProduct: _CREATED_PRODUCT,
    DeleteProduct: PostmanSetup(order=10, values={"productId": "{{productId}}"}),
    CreateCollection: PostmanSetup(
        order=2,
        values={"productIds": ["{{productId}}"]},
        saves={"collectionId": "collectionId"},
    ),
    DeleteCollection: PostmanSetup(order=9, values={"collectionId": "{{collectionId}}"}),
    CollectionOperation: PostmanSetup(order=3, values={"collectionId": "{{collectionId}}"}),
    CollectionProductsOperation: PostmanSetup(
        order=4,
        values={"collectionId": "{{collectionId}}", "productIds": ["{{productId}}"]},
        saves={"collectionId": "collectionId"},
    ),
    ListCollectionProducts: PostmanSetup(
        order=3,
        first=(Precondition("/device", method="GET"),),
        values={"phone": "{{ownPhone}}", "collectionId": "{{collectionId}}"},
    ),
    CreateTag: PostmanSetup(saves={"tagId": "id"}),
    EditTag: _CREATED_TAG,
    DeleteTag: PostmanSetup(order=3, values={"tagId": "{{tagId}}"}),
    TagOnChat: _CREATED_TAG_OF_CHAT,
    RemoveTag: PostmanSetup(order=2, values={"tag": "{{tagId}}"}),
}
