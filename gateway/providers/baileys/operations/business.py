"""The business profile of this number, and of others."""

from typing import Any

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success
from gateway.contract.zapi.business.profile import (
    BusinessProfile,
    Category,
    Hours,
    Interval,
    ReadBusinessProfile,
    SetCategories,
    SetCompanyAddress,
    SetCompanyDescription,
    SetCompanyEmail,
    SetCompanySites,
    SetHours,
)
from gateway.errors import InvalidRequest
from gateway.whatsapp_web.jids import jid_of
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()

_MODES = {
    "specificHours": "specific_hours",
    "open24h": "open_24h",
    "appointmentOnly": "appointment_only",
}
_SHOWN_MODES = {of_whatsapp: shown for shown, of_whatsapp in _MODES.items()}
_DAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_MINUTES_PER_HOUR = 60
_SHORT = 3


@operations.handles(SetCompanyDescription)
async def set_description(session: WebSession, operation: SetCompanyDescription) -> Success:
    return await _set(session, description=operation.value)


@operations.handles(SetCompanyAddress)
async def set_address(session: WebSession, operation: SetCompanyAddress) -> Success:
    return await _set(session, address=operation.value)


@operations.handles(SetCompanyEmail)
async def set_email(session: WebSession, operation: SetCompanyEmail) -> Success:
    return await _set(session, email=operation.value)


@operations.handles(SetCompanySites)
async def set_sites(session: WebSession, operation: SetCompanySites) -> Success:
    return await _set(session, websites=list(operation.websites))


@operations.handles(SetHours)
async def set_hours(session: WebSession, operation: SetHours) -> Success:
    days = []
    for day in operation.days:
        shown: dict[str, Any] = {"day": (day.day_of_week or "").lower()[:_SHORT]}
        shown["mode"] = _MODES[operation.mode]
        if operation.mode == "specificHours":
            shown["openTimeInMinutes"] = _minutes(day.open_time or "00:00")
            shown["closeTimeInMinutes"] = _minutes(day.close_time or "23:59")
        days.append(shown)
    await session.call("set_business_hours", timezone=operation.timezone, days=days)
    return Success()


@operations.handles(SetCategories)
async def set_categories(session: WebSession, operation: SetCategories) -> Success:
    """Sets categories by id: a linked device gets no list of their names."""
    if unknown := [each for each in operation.categories if not each.isdigit()]:
        raise InvalidRequest(f"categories: {unknown[0]} must be the id of a category, in digits")
    await session.call("set_business_categories", ids=list(operation.categories))
    return Success()


@operations.handles(ReadBusinessProfile)
async def read_profile(session: WebSession, operation: ReadBusinessProfile) -> BusinessProfile:
    found = await session.call("business_profile", jid=jid_of(operation.phone))
    categories = (Category(display_name=c["name"], id=c["id"]) for c in found["categories"])
    return BusinessProfile(
        description=found["description"],
        address=found["address"],
        email=found["email"],
        websites=tuple(found["websites"]),
        categories=tuple(categories),
        business_hours=_hours(found["hours"]) if found["hours"] else None,
        has_cover_photo=found["hasCover"],
    )


async def _set(session: WebSession, **texts: str | list[str]) -> Success:
    await session.call("set_business_texts", texts=texts)
    return Success()


def _hours(found: dict[str, Any]) -> Hours:
    modes = [day.get("mode", "specific_hours") for day in found["days"]]
    return Hours(
        timezone=found.get("timezone") or "",
        days=tuple(map(_interval, found["days"])),
        mode=_SHOWN_MODES.get(modes[0] if modes else "specific_hours", "specificHours"),
    )


def _interval(day: dict[str, str]) -> Interval:
    short = day.get("day_of_week", "").upper()
    return Interval(
        day_of_week=next((name for name in _DAYS if short and name.startswith(short)), None),
        open_time=_clock(day.get("open_time")),
        close_time=_clock(day.get("close_time")),
    )


def _minutes(clock: str) -> str:
    hours, minutes = clock.split(":")
    return str(int(hours) * _MINUTES_PER_HOUR + int(minutes))


def _clock(minutes: str | None) -> str | None:
    if minutes is None:
        return None
    hours, rest = divmod(int(minutes), _MINUTES_PER_HOUR)
    return f"{hours:02}:{rest:02}"
