"""The profile of a business."""

from datetime import time
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.operation import Operation, Success
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Incoming, Matching, OmitIfNone, Phone, Wire
from gateway.contract.zapi.mobile import Email

_CREATED = 201
_FAILURES = (503,)
_SITE = "https://example.com"


def _site(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise PydanticCustomError("site", "must be an address such as https://example.com")
    return value


def _clock(value: str) -> str:
    try:
        return time.fromisoformat(value).strftime("%H:%M")
    except ValueError:
        raise PydanticCustomError("clock", "must be a time such as 08:30") from None


Site = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=256), AfterValidator(_site)
]
ClockTime = Annotated[str, StringConstraints(max_length=8), AfterValidator(_clock)]


class SetCompanyText(Operation[Success]):
    """Sets a text of the profile; an empty one removes it."""

    example: ClassVar[Example] = {"value": "We bake bread."}
    example_minimal: ClassVar[Example] = {"value": ""}
    failures = _FAILURES

    value: Annotated[str, StringConstraints(strip_whitespace=True, max_length=512)] = ""


class SetCompanyDescription(
    SetCompanyText, method="POST", path="/business/company-description", answer_status=_CREATED
):
    """Sets the description of the business."""

    scope = ApiScope.MANAGE


class SetCompanyAddress(
    SetCompanyText, method="POST", path="/business/company-address", answer_status=_CREATED
):
    """Sets the address of the business."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"value": "1 Long Street"}


class SetCompanyEmail(
    Operation[Success],
    method="POST",
    path="/business/company-email",
    answer_status=_CREATED,
):
    """Sets the e-mail of the business; an empty one removes it."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"value": "bread@example.com"}
    example_minimal: ClassVar[Example] = {"value": ""}
    failures = _FAILURES

    value: Email | Literal[""] = ""


class SetCompanySites(
    Operation[Success], method="POST", path="/business/company-websites", answer_status=_CREATED
):
    """Sets the sites of the business, two at most; none removes them."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"websites": [_SITE, "https://example.org"]}
    example_minimal: ClassVar[Example] = {"websites": []}
    failures = _FAILURES

    websites: Annotated[tuple[Site, ...], Field(max_length=2)] = ()


class OpeningInterval(Incoming):
    """When it is open on one day; a day may come more than once."""

    day_of_week: (
        Annotated[
            Literal["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"],
            ANY_CASE,
        ]
        | None
    ) = None
    open_time: ClockTime | None = None
    close_time: ClockTime | None = None


class SetHours(Operation[Success], method="POST", path="/business/hours", answer_status=_CREATED):
    """Sets the opening hours; no days mean that the business is closed."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {
        "timezone": "America/Sao_Paulo",
        "mode": "specificHours",
        "days": [{"dayOfWeek": "MONDAY", "openTime": "08:00", "closeTime": "12:00"}],
    }
    example_minimal: ClassVar[Example] = {"timezone": "America/Sao_Paulo"}
    failures = _FAILURES

    timezone: Annotated[
        str,
        Matching(
            r"^[A-Za-z]+(/[A-Za-z0-9_+\-]+){0,2}$", "must be a time zone such as America/Sao_Paulo"
        ),
    ]
    mode: Annotated[Literal["specificHours", "open24h", "appointmentOnly"], ANY_CASE] = (
        "specificHours"
    )
    days: Annotated[tuple[OpeningInterval, ...], Field(max_length=50)] = ()


class Category(Wire):
    """What kind of business."""

    display_name: str
    label: str | None = OmitIfNone
    id: str


_OTHER = {"displayName": "Other", "label": "OTHER_COMPANIES", "id": "629412378414563"}


class ListCategories(
    Operation[tuple[Category, ...]], method="GET", path="/business/available-categories"
):
    """The kinds of business there are."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"query": "other"}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = [_OTHER]
    failures = _FAILURES

    query: Annotated[str, StringConstraints(max_length=255)] = ""


class SetCategories(
    Operation[Success], method="POST", path="/business/categories", answer_status=_CREATED
):
    """Sets up to three categories of the business, by id or label."""

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"categories": ["RESTAURANT", "629412378414563"]}
    failures = (400, *_FAILURES)

    categories: Annotated[tuple[str, ...], Field(min_length=1, max_length=3)]


class Interval(Wire):
    """When it is open on one day."""

    day_of_week: str | None = OmitIfNone
    open_time: str | None = OmitIfNone
    close_time: str | None = OmitIfNone


class Hours(Wire):
    """When a business is open."""

    timezone: str
    days: tuple[Interval, ...]
    mode: str


class BusinessProfile(Wire):
    """The profile of a business."""

    description: str = ""
    address: str = ""
    email: str = ""
    websites: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    business_hours: Hours | None = OmitIfNone
    has_cover_photo: bool = False


class ReadBusinessProfile(Operation[BusinessProfile], method="GET", path="/business/profile"):
    """The business profile of this number."""

    scope = ApiScope.READ
    cache_ttl_seconds = 60.0
    example: ClassVar[Example] = {"phone": "5511999999999"}
    example_minimal: ClassVar[Example] = {"phone": "5511999999999"}
    answer_example: ClassVar[Any] = {
        "description": "We bake bread.",
        "address": "1 Long Street",
        "email": "bread@example.com",
        "websites": [_SITE],
        "categories": [_OTHER],
        "businessHours": {
            "timezone": "America/Sao_Paulo",
            "days": [{"dayOfWeek": "MONDAY", "openTime": "08:00", "closeTime": "18:00"}],
            "mode": "specificHours",
        },
        "hasCoverPhoto": False,
    }
    failures = _FAILURES

    phone: Phone
