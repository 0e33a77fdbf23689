"""The link of an instance: what its requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.phone_links import (
    ConfirmLinking,
    CreatePhoneLink,
    ReadPhoneLink,
    RevokePhoneLink,
)
from gateway.documents.postman_setup import PostmanSetup

_NOT_FOUND, _CONFLICT = 404, 409

# A phone is linked when the collection runs, or its session is just being closed.
SETUPS: Mapping[type, PostmanSetup] = {
    CreatePhoneLink: PostmanSetup(or_else=_CONFLICT),
    ReadPhoneLink: PostmanSetup(order=1, or_else=_NOT_FOUND),
    RevokePhoneLink: PostmanSetup(order=2, or_else=_NOT_FOUND),
    ConfirmLinking: PostmanSetup(order=3, or_else=_CONFLICT),
}
