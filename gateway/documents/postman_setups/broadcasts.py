"""Broadcast lists: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.zapi.broadcasts import BroadcastOperation, CreateBroadcast, DeleteBroadcast
from gateway.documents.postman_setup import PostmanSetup

_MADE = {"broadcastId": "{{broadcastId}}"}

SETUPS: Mapping[type, PostmanSetup] = {
    CreateBroadcast: PostmanSetup(saves={"broadcastId": "broadcastId"}),
    BroadcastOperation: PostmanSetup(order=1, values=_MADE),
    DeleteBroadcast: PostmanSetup(order=2, values=_MADE),
}
