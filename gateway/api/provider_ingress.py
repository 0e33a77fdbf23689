"""Authorises HTTP calls below `/<provider>`, such as control of a simulator."""

from collections.abc import Callable, Mapping

from starlette.datastructures import Headers

from gateway.api.authentication import check_client_token, find_by_token
from gateway.errors import Unavailable, UnknownInstance
from gateway.instances.store import Instances
from gateway.sessions.provider import Authorise


def authorise_control(instances: Callable[[], Instances | None]) -> Authorise:
    """A check for routes that steer an instance.

    Client-Token always, and the instance's token in `Instance-Token`; the demo instance does
    without the second.
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
                raise UnknownInstance
            instance = found
        check_client_token(instance, given, required=True)

    return authorise
