"""Deleting an instance, and giving it another token."""

from typing import Annotated, Any, ClassVar

from gateway.contract.documented import Example
from gateway.contract.scopes import ApiScope
from gateway.contract.secret_fields import SECRET
from gateway.contract.wire import Wire
from gateway.contract.zapi.partner import PartnerOperation

_NOT_FOUND = 404
_ID = "3C67AB641C8AA0412F6A2242B4E23AC7"


class DeletedInstance(Wire):
    """The instance was deleted."""

    value: bool = True
    status: str = "deleted"


class DeleteInstance(
    PartnerOperation[DeletedInstance], method="DELETE", path="/instances/{instance_id}"
):
    """Deletes an instance and everything of it, for good.

    After the answer nothing of it is sent; a large history is deleted afterwards.
    """

    scope = ApiScope.MANAGE
    absolute = True
    example: ClassVar[Example] = {"instanceId": _ID}
    answer_example: ClassVar[Any] = {"value": True, "status": "deleted"}

    instance_id: str


class RotatedToken(Wire):
    """The new token of the instance; the one before is refused from now on."""

    id: str
    token: Annotated[str, SECRET]


class RotateInstanceToken(
    PartnerOperation[RotatedToken],
    method="POST",
    path="/account/instances/{instance_id}/rotate-token",
):
    """Gives an instance a new token, which ends the one before at once. An extension.

    On other nodes the old token is refused within a second. Callers that use an API key go on.
    """

    scope = ApiScope.MANAGE
    absolute = True
    failures = (*PartnerOperation.failures, _NOT_FOUND)
    example: ClassVar[Example] = {"instanceId": _ID}
    answer_example: ClassVar[Any] = {
        "id": _ID,
        "token": "9E5C0B7A1D2F4E6C8B0A9D7F5E3C1B2A",
    }

    instance_id: str
