"""What each request of the Postman collection needs, a module per subject of the contract.

A setup that is given to a base class counts for every request below it.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

from gateway.documents.postman_setup import PostmanSetup
from gateway.documents.postman_setups import (
    api_keys,
    broadcasts,
    business,
    communities,
    connections,
    contacts,
    groups,
    history,
    instance_queue,
    instances,
    messages,
    mobile,
    named,
    newsletters,
    partner,
    phone_links,
    proxies,
    webhooks,
)

_SUBJECTS = (
    api_keys,
    broadcasts,
    business,
    communities,
    connections,
    contacts,
    groups,
    history,
    instance_queue,
    instances,
    messages,
    mobile,
    named,
    newsletters,
    partner,
    phone_links,
    proxies,
    webhooks,
)
_DEFAULT = PostmanSetup()


def declared_setups() -> Iterator[tuple[type, PostmanSetup]]:
    """Every setup with the class it is given to."""
    return chain.from_iterable(subject.SETUPS.items() for subject in _SUBJECTS)


SETUPS: Mapping[type, PostmanSetup] = dict(declared_setups())


def setup_of(declared: type) -> PostmanSetup:
    """The setup of a request: of its class, else of the nearest base class, else the default."""
    return next((SETUPS[family] for family in declared.__mro__ if family in SETUPS), _DEFAULT)
