"""Instance id, token and Client-Token become an Instance, or an error that gives nothing away."""

from starlette.datastructures import Headers

from gateway.errors import Forbidden, UnknownInstance
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import hash_of, matches

_NOBODY = hash_of("an instance that does not exist")


async def identify(
    instances: Instances, instance_id: str, token: str, headers: Headers
) -> Instance:
    """The instance a caller may act for.

    Raises:
        UnknownInstance: the id or the token is wrong; takes the same steps for both.
        Forbidden: the account asks for a Client-Token and this is not it.
    """
    instance = None if "\x00" in instance_id else await instances.find(instance_id)
    right = matches(token, instance.token_hash if instance else _NOBODY)
    if instance is None or not right:
        raise UnknownInstance
    check_client_token(instance, headers)
    return instance


def check_client_token(instance: Instance, headers: Headers, *, required: bool = False) -> None:
    """Raises Forbidden where a Client-Token is asked for and this is not it."""
    if not (required or instance.client_token_required):
        return
    given = headers.get("client-token")
    if given is None:
        raise Forbidden("null not allowed")
    if instance.client_token_hash is None or not matches(given, instance.client_token_hash):
        raise Forbidden("Client-Token not allowed")
