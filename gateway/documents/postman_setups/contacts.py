"""Contacts: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.contacts import ErasePerson, ForgetConsent
from gateway.documents.postman_setup import PostmanSetup

SETUPS: Mapping[type, PostmanSetup] = {
    ForgetConsent: PostmanSetup(order=8),
    ErasePerson: PostmanSetup(order=9),
}
