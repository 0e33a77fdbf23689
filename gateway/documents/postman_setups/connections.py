"""Connections of an instance: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.connections import (
    AddConnection,
    DeleteConnection,
    RecoverConnection,
)
from gateway.documents.postman_setup import PostmanSetup

_NO_SUCH_PROVIDER, _NOT_FOUND = 400, 404

SETUPS: Mapping[type, PostmanSetup] = {
    AddConnection: PostmanSetup(or_else=_NO_SUCH_PROVIDER),
    DeleteConnection: PostmanSetup(order=1, or_else=_NOT_FOUND),
    RecoverConnection: PostmanSetup(order=100),
}
