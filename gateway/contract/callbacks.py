"""The bodies posted to callers' webhooks. A key without a value is left out, never null."""

from typing import Literal

from gateway.contract.wire import Wire


class Callback(Wire):
    """What every callback carries; `momment` (sic) is in milliseconds."""

    instance_id: str
    momment: int

    def body(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_none=True)


class DeliveryCallback(Callback):
    """A message left the queue: for WhatsApp, or, with `error`, for good."""

    type: Literal["DeliveryCallback"] = "DeliveryCallback"
    phone: str
    zaap_id: str
    message_id: str
    error: str | None = None
