"""Deleting an instance."""

from typing import Any, ClassVar

from gateway.contract.documented import Example
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire
from gateway.contract.zapi.partner import PartnerOperation


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
    example: ClassVar[Example] = {"instanceId": "3C67AB641C8AA0412F6A2242B4E23AC7"}
    answer_example: ClassVar[Any] = {"value": True, "status": "deleted"}

    instance_id: str
