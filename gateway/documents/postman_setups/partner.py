"""Partner routes: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.partner import DeleteInstance, RotateInstanceToken
from gateway.contract.zapi.partner import AddCalls, CancelSubscription, CreateInstance, Subscribe
from gateway.documents.postman_setup import PostmanSetup

_CREATED_INSTANCE = {
    "instanceId": "{{createdInstanceId}}",
    "instanceToken": "{{createdInstanceToken}}",
}

SETUPS: Mapping[type, PostmanSetup] = {
    DeleteInstance: PostmanSetup(order=10, values={"instanceId": "{{createdInstanceId}}"}),
    CreateInstance: PostmanSetup(
        saves={"createdInstanceId": "id", "createdInstanceToken": "token"},
    ),
    RotateInstanceToken: PostmanSetup(
        order=4,
        values={"instanceId": "{{createdInstanceId}}"},
        saves={"createdInstanceToken": "token"},
    ),
    Subscribe: PostmanSetup(order=1, values=_CREATED_INSTANCE),
    AddCalls: PostmanSetup(order=2, values=_CREATED_INSTANCE),
    CancelSubscription: PostmanSetup(order=3, values=_CREATED_INSTANCE),
}
