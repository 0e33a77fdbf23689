"""History: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.history import FindMessage, ReadTimeline
from gateway.documents.postman_setup import PostmanSetup

SETUPS: Mapping[type, PostmanSetup] = {
    FindMessage: PostmanSetup(values={"messageId": "{{messageId}}"}),
    ReadTimeline: PostmanSetup(values={"messageId": "{{messageId}}"}),
}
