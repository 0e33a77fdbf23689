"""Dates, numbers and durations as people of a language write them: the filters of templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_compact_decimal, format_decimal, format_percent
from babel.units import format_unit
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1_000
_MAX_ZONE_LENGTH = 64


def zone_named(name: str) -> tzinfo:
    """Returns a time zone such as America/Sao_Paulo; UTC for a name that is none."""
    if not name or len(name) > _MAX_ZONE_LENGTH:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def initial_of(name: str) -> str:
    """Returns the first character of a name that is no mark or sign, for its picture."""
    return next((character.upper() for character in name if character.isalnum()), "#")


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of one language; a time is shown in the `zone` of the template's context."""

    locale: Locale

    def filters(self) -> Mapping[str, Any]:
        """Returns the filters by the names that templates use."""
        return {
            "datetime": self._datetime,
            "date": self._date,
            "time": self._time,
            "ago": self._ago,
            "short_time": self._short_time,
            "duration": self.duration,
            "seconds": self.seconds,
            "short_duration": self.short_duration,
            "number": self.number,
            "compact": self.compact,
            "percent": self.percent,
            "filesize": self.filesize,
            "initial": initial_of,
        }

    def number(self, value: float) -> str:
        """Returns a number with the separators of the language."""
        return format_decimal(value, locale=self.locale)

    def compact(self, value: float) -> str:
        """Returns a short form of a large number, such as 12k."""
        return format_compact_decimal(value, fraction_digits=1, locale=self.locale)

    def percent(self, value: float) -> str:
        """Returns a share between 0 and 1 in percent."""
        return format_percent(value, locale=self.locale)

    def filesize(self, size_bytes: float) -> str:
        for unit in _UNITS[:-1]:
            if size_bytes < _STEP:
                return f"{format_decimal(round(size_bytes, 1), locale=self.locale)} {unit}"
            size_bytes /= _STEP
        return f"{format_decimal(round(size_bytes, 1), locale=self.locale)} {_UNITS[-1]}"

    def duration(self, seconds: float) -> str:
        """Returns seconds in the largest unit that fits, such as 3 minutes."""
        return format_timedelta(timedelta(seconds=seconds), threshold=1.0, locale=self.locale)

    def seconds(self, value: float) -> str:
        """Returns seconds as they are, such as 1.5 seconds."""
        return format_unit(value, "second", locale=self.locale)

    def short_duration(self, seconds: float) -> str:
        """Returns seconds in the largest unit that fits, such as 3min, for the axis of a chart."""
        return format_timedelta(
            timedelta(seconds=seconds), threshold=1.0, format="narrow", locale=self.locale
        )

    @pass_context
    def _datetime(self, context: Context, at: datetime | None) -> str:
        if at is None:
            return ""
        zone = context["zone"]
        return format_datetime(at, "medium", tzinfo=zone, locale=self.locale)

    @pass_context
    def _date(self, context: Context, at: datetime | date | None) -> str:
        if at is None:
            return ""
        day = at.astimezone(context["zone"]) if isinstance(at, datetime) else at
        return format_date(day, "medium", locale=self.locale)

    @pass_context
    def _time(self, context: Context, at: datetime | None) -> str:
        if at is None:
            return ""
        return format_time(at, "short", tzinfo=context["zone"], locale=self.locale)

    @pass_context
    def _short_time(self, context: Context, at: datetime | None) -> str | Markup:
        """Returns the time of day of what is from today, else the date, as an element."""
        if at is None:
            return ""
        zone = context["zone"]
        is_today = at.astimezone(zone).date() == context["now"].astimezone(zone).date()
        text = (
            self._time(context, at)
            if is_today
            else format_date(at.astimezone(zone), "short", locale=self.locale)
        )
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at.isoformat(), self._datetime(context, at), text
        )

    @pass_context
    def _ago(self, context: Context, at: datetime | None) -> str | Markup:
        """Returns how long ago a time was, as an element that shows the time itself, too."""
        if at is None:
            return ""
        text = format_timedelta(
            at - context["now"], add_direction=True, threshold=1.0, locale=self.locale
        )
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at.isoformat(), self._datetime(context, at), text
        )
