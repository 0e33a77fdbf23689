"""Pictures of people and groups, for callbacks."""

from gateway.contract.operation import Operation
from gateway.contract.wire import Wire


class FoundPicture(Wire):
    """The answer of WhatsApp; without a `url` there is no picture, or it is hidden."""

    url: str | None = None


class LookUpPicture(Operation[FoundPicture]):
    """Asks WhatsApp for the picture of a person or group.

    Any error means that WhatsApp did not answer; it says nothing about the picture.
    """

    phone: str
