"""The token of an instance, with which its callers authenticate."""

from typing import Annotated

from gateway.contract.operation import AuditedState, Operation
from gateway.contract.scopes import ApiScope
from gateway.contract.secret_fields import SECRET
from gateway.contract.wire import Wire


class InstanceToken(Wire):
    """The token that is right from now on."""

    token: Annotated[str, SECRET]


class RotateInstanceToken(Operation[InstanceToken]):
    """Gives an instance another token; the earlier one is wrong at once, on every node."""

    scope = ApiScope.MANAGE
    audited = True
    audited_state = AuditedState.INSTANCE
