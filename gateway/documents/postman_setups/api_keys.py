"""API keys: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.api_keys import CreateApiKey, RevokeApiKey
from gateway.documents.postman_setup import PostmanSetup

SETUPS: Mapping[type, PostmanSetup] = {
    CreateApiKey: PostmanSetup(saves={"createdKeyId": "id"}),
    RevokeApiKey: PostmanSetup(order=1, values={"keyId": "{{createdKeyId}}"}),
}
