"""Every operation the sandbox answers."""

from functools import reduce
from operator import or_

from gateway.contract.handlers import Handlers
from gateway.providers.sandbox import (
    account,
    acting,
    business,
    communities,
    contacts,
    groups,
    linking,
    newsletters,
    presence,
    registration,
)
from gateway.providers.sandbox.session import SandboxSession

operations: Handlers[SandboxSession] = reduce(
    or_,
    (
        room.operations
        for room in (
            account,
            acting,
            business,
            communities,
            contacts,
            groups,
            linking,
            newsletters,
            presence,
            registration,
        )
    ),
)
