"""Scheduled messages: a month with the number of each day, and the messages of one day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton
from starlette.responses import Response

from gateway.contract.extensions.queue_lanes import (
    CountScheduled,
    LanePage,
    ListScheduled,
    ScheduledDays,
)
from gateway.instances.store import Instance
from gateway.panel.languages import locale_of
from gateway.panel.message_words import MessageWords
from gateway.panel.queue_view import address
from gateway.panel.visit import PAGE_SIZE, Visit

_PATH: Final = "/panel/queue/scheduled"
_DAYS_OF_WEEK: Final = 7
_DECEMBER: Final = 12
_FIRST_YEAR, _LAST_YEAR = 2000, 9998


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day of the grid; `is_inside` says whether it belongs to the month."""

    day: date
    count: int
    is_inside: bool


async def show(visit: Visit) -> Response:
    instance = await visit.instance()
    today = visit.context.clock.now().astimezone(visit.zone).date()
    day = read_day(visit.query("day"))
    first = (read_day(visit.query("month") + "-01") or day or today).replace(day=1)
    weeks = month_grid(first, {}, locale_of(visit.language))
    counts = await _counts(visit, instance, weeks[0][0].day, weeks[-1][-1].day)
    if day is None and not visit.query("month"):
        day = min((each for each in counts if each >= today), default=None)
    listed = await _of_day(visit, instance, day) if day else None
    locale = locale_of(visit.language)
    return await visit.render(
        "queue_scheduled.html",
        number=instance,
        words=MessageWords(visit),
        weeks=month_grid(first, counts, locale),
        weekdays=_weekdays(locale),
        month=format_skeleton("yMMMM", first, locale=locale),
        total=sum(count for each, count in counts.items() if each.month == first.month),
        today=today,
        day=day,
        day_text=format_date(day, "full", locale=locale) if day else "",
        listed=listed,
        is_first=not visit.query("after"),
        previous=address(_PATH, instance, month=_month_text(first - timedelta(days=1))),
        following=address(_PATH, instance, month=_month_text(_next_month(first))),
        here=address(
            _PATH, instance, month=_month_text(first), day=day.isoformat() if day else None
        ),
        base=address(_PATH, instance, month=_month_text(first)),
        back=address("/panel/queue", instance),
    )


def month_grid(
    first: date, counts: Mapping[date, int], locale: Locale
) -> Sequence[Sequence[CalendarDay]]:
    """Returns the weeks that a month touches, from the first day of the week of the language."""
    start = first - timedelta(days=(first.weekday() - locale.first_week_day) % _DAYS_OF_WEEK)
    weeks = []
    while start < _next_month(first):
        days = [start + timedelta(days=number) for number in range(_DAYS_OF_WEEK)]
        weeks.append(
            [CalendarDay(day, counts.get(day, 0), day.month == first.month) for day in days]
        )
        start += timedelta(days=_DAYS_OF_WEEK)
    return weeks


def read_day(text: str) -> date | None:
    """Returns the day that an address names as 2026-01-31; None where it names none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if _FIRST_YEAR <= day.year <= _LAST_YEAR else None


def start_of(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone)


def zone_name(zone: tzinfo) -> str:
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"


async def _counts(visit: Visit, instance: Instance, first: date, last: date) -> Mapping[date, int]:
    found: ScheduledDays = await visit.execute(
        CountScheduled.model_validate(
            {
                "from": start_of(first, visit.zone),
                "to": start_of(last + timedelta(days=1), visit.zone),
                "timeZone": zone_name(visit.zone),
            }
        ),
        instance,
    )
    return {each.day: each.count for each in found.days}


async def _of_day(visit: Visit, instance: Instance, day: date) -> LanePage:
    listed: LanePage = await visit.execute(
        ListScheduled.model_validate(
            {
                "from": start_of(day, visit.zone),
                "to": start_of(day + timedelta(days=1), visit.zone),
                "pageSize": PAGE_SIZE,
                "pagingState": visit.query("after") or None,
            }
        ),
        instance,
    )
    return listed


def _weekdays(locale: Locale) -> Sequence[str]:
    names = locale.days["stand-alone"]["abbreviated"]
    return [
        names[(locale.first_week_day + number) % _DAYS_OF_WEEK] for number in range(_DAYS_OF_WEEK)
    ]


def _month_text(day: date) -> str:
    return f"{day:%Y-%m}"


def _next_month(first: date) -> date:
    if first.month == _DECEMBER:
        return first.replace(year=first.year + 1, month=1)
    return first.replace(month=first.month + 1)
