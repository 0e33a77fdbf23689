"""Proxies: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.proxies import ConfigureProxy, RemoveProxy, SetProxy, SwapProxy
from gateway.documents.postman_setup import PostmanSetup

_UNREACHABLE = 422

SETUPS: Mapping[type, PostmanSetup] = {
    SetProxy: PostmanSetup(order=102),
    ConfigureProxy: PostmanSetup(order=102),
    RemoveProxy: PostmanSetup(order=103),
    SwapProxy: PostmanSetup(order=102, or_else=_UNREACHABLE),
}
