"""Instances: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.zapi.instances import Disconnect, ReadDevice, Restart, RestoreSession
from gateway.documents.postman_setup import PostmanSetup

SETUPS: Mapping[type, PostmanSetup] = {
    Restart: PostmanSetup(order=100),
    RestoreSession: PostmanSetup(order=100),
    Disconnect: PostmanSetup(order=101),
    ReadDevice: PostmanSetup(saves={"ownPhone": "phone"}),
}
