"""Buttons, and other items that a person answers with a tap."""

from typing import Annotated, Literal, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from gateway.contract.choices import ANY_CASE
from gateway.contract.echo import Content
from gateway.contract.urls import written_url
from gateway.contract.wire import Incoming, Phone
from gateway.contract.zapi.messages.text import Label, LinkText


def _web_url(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise PydanticCustomError("web_url", "must start with http:// or https://")
    return url


WebUrl = Annotated[LinkText, BeforeValidator(written_url), AfterValidator(_web_url)]


class Tappable(Incoming):
    """Something to tap; the answer names its id."""

    id: str = Field("", description="its position, where absent")


Item = TypeVar("Item", bound=Tappable)


def numbered(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(
        item if item.id else item.model_copy(update={"id": str(position)})
        for position, item in enumerate(items, 1)
    )


class ReplyButton(Tappable):
    """Answers with its label."""

    label: Label


class ActionButton(ReplyButton):
    """Calls a number, opens a URL or answers."""

    type: Annotated[Literal["CALL", "URL", "REPLY"], ANY_CASE]
    phone: Phone | None = Field(None, description="of CALL", validate_default=True)
    url: WebUrl | None = Field(
        None,
        description="of URL; https://www.whatsapp.com/otp/code?otp_type=COPY_CODE&code=... copies",
        validate_default=True,
    )

    @field_validator("phone", "url")
    @classmethod
    def _has_what_its_type_needs(cls, value: str | None, info: ValidationInfo) -> str | None:
        needed = {"CALL": "phone", "URL": "url"}.get(info.data.get("type", ""))
        if value is None and info.field_name == needed:
            raise PydanticCustomError("missing", "is required")
        return value

    @property
    def copied_code(self) -> str | None:
        """The code that it copies, if its URL is WhatsApp's for copying."""
        url = urlsplit(self.url or "")
        where = (url.hostname or "").removeprefix("www.") + url.path.rstrip("/")
        if where != "whatsapp.com/otp/code":
            return None
        operation = parse_qs(url.query)
        return (
            operation.get("code", [None])[0] if operation.get("otp_type") == ["COPY_CODE"] else None
        )

    def echo(self, index: int) -> Content:
        """The button as a `hydratedButtons` entry; *index* counts from 0."""
        shown = {"displayText": self.label}
        match self.type:
            case "URL":
                return {"index": index, "urlButton": {**shown, "url": self.url}}
            case "CALL":
                return {"index": index, "callButton": {**shown, "phoneNumber": self.phone}}
            case _:
                return {"index": index, "quickReplyButton": {**shown, "id": self.id}}


ActionButtons = Annotated[tuple[ActionButton, ...], AfterValidator(numbered)]


def echoed(buttons: tuple[ActionButton, ...]) -> list[Content]:
    return [button.echo(index) for index, button in enumerate(buttons)]
