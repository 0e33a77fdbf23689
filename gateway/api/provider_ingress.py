"""Authorises the HTTP calls that providers serve themselves, such as control of a simulation."""

from collections.abc import Callable, Mapping

from starlette.datastructures import Headers

from gateway.api.authentication import check_client_token, find_by_token
from gateway.errors import ControlNeedsToken, Unavailable
from gateway.instances.store import Instances
from gateway.sessions.provider import Authorise


def authorise_control(instances: Callable[[], Instances | None]) -> Authorise:
    """Returns the check for a provider's routes that control an instance.

    It requires a Client-Token, and the instance's token in `Instance-Token` unless the instance is
    the demo.
    """

    async def authorise(headers: Mapping[str, str], instance_id: str) -> None:
        given = Headers(headers)
        known = instances()
        if known is None:
            raise Unavailable("The gateway is starting")
        token = given.get("instance-token")
        if token is not None:
            instance = await find_by_token(known, instance_id, token)
        else:
            found = None if "\x00" in instance_id else await known.find(instance_id)
            if found is None or not found.demo:
                raise ControlNeedsToken
            instance = found
        check_client_token(instance, given, required=True)

    return authorise
