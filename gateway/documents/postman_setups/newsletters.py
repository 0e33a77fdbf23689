"""Channels: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.zapi.newsletters import (
    ChannelOperation,
    CreateNewsletter,
    DeleteNewsletter,
    NamedChannelOperation,
    UnfollowNewsletter,
)
from gateway.documents.postman_setup import PostmanSetup, Precondition

SETUPS: Mapping[type, PostmanSetup] = {
    CreateNewsletter: PostmanSetup(saves={"newsletterId": "id"}),
    ChannelOperation: PostmanSetup(order=1, values={"id": "{{newsletterId}}"}),
    UnfollowNewsletter: PostmanSetup(order=2, values={"id": "{{newsletterId}}"}),
    DeleteNewsletter: PostmanSetup(
        order=20, first=(Precondition("/create-newsletter"),), values={"id": "{{newsletterId}}"}
    ),
    NamedChannelOperation: PostmanSetup(order=1, values={"newsletterId": "{{newsletterId}}"}),
}
