"""Every privacy setting at once."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.contract.operation import Operation
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire
from gateway.contract.zapi.privacy import Audience, GroupAudience

_UNAVAILABLE = 503


class Privacy(Wire):
    """Every setting."""

    last_seen: Audience = "ALL"
    photo: Audience = "ALL"
    description: Audience = "ALL"
    group_add: GroupAudience = "ALL"
    online: Literal["ALL", "SAME_LAST_SEEN"] = "ALL"
    read_receipts: Literal["enable", "disable"] = "enable"
    messages_duration: Annotated[
        Literal["days90", "days7", "hours24", "disable"] | None,
        Field(
            description="absent if the provider lacks it",
            exclude_if=lambda v: v is None,
        ),
    ] = "disable"


class ReadPrivacy(Operation[Privacy], method="GET", path="/privacy-settings"):
    """Every setting at once. An extension."""

    scope = ApiScope.READ
    failures = (_UNAVAILABLE,)
