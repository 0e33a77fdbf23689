"""The traffic of an account as charts: what waited, was sent and came over a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from babel.dates import format_skeleton, format_time
from markupsafe import Markup

from gateway.contract.extensions.traffic import ReadTraffic, Traffic, TrafficPoint
from gateway.instances.accounts import Account
from gateway.panel.charts import Charts, Point
from gateway.panel.formats import Formats
from gateway.panel.languages import N_, locale_of
from gateway.panel.visit import Visit

_DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class Span:
    """A span that ends now, in steps that keep a chart below a hundred points."""

    name: str
    label: str
    hours: int
    step_seconds: int

    @property
    def shows_last_step(self) -> bool:
        """Whether the step that has not ended is drawn, where it is long."""
        return self.hours > 7 * _DAY_HOURS


SPANS: Final = (
    Span("6h", N_("6 hours"), 6, 300),
    Span("24h", N_("24 hours"), _DAY_HOURS, 900),
    Span("7d", N_("7 days"), 7 * _DAY_HOURS, 7_200),
    Span("90d", N_("90 days"), 90 * _DAY_HOURS, 86_400),
)
_USUAL: Final = SPANS[1]


@dataclass(frozen=True, slots=True)
class TrafficChart:
    """A chart with the total above it; `hint` says in small what else is to know."""

    title: str
    total: str
    hint: str
    drawing: Markup
    help: str = ""
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class TrafficCharts:
    """The charts of a span, and whether anything happened in it."""

    span: Span
    charts: Sequence[TrafficChart]
    accepted: int
    is_empty: bool


def span_of(visit: Visit) -> Span:
    """Returns the span that the address names, else a day."""
    named = visit.query("span")
    return next((each for each in SPANS if each.name == named), _USUAL)


async def traffic_charts(visit: Visit, account: Account) -> TrafficCharts:
    """Returns the charts of the span that the address names."""
    span = span_of(visit)
    until = visit.context.clock.now()
    traffic: Traffic = await visit.execute(
        ReadTraffic(since=until - timedelta(hours=span.hours), until=until, step=span.step_seconds),
        account,
    )
    drawer = _Drawer(visit, span, traffic.points)
    return TrafficCharts(
        span,
        [
            drawer.sent(),
            drawer.waiting(),
            drawer.seconds(),
            drawer.failed(),
            drawer.received(),
            drawer.callbacks(),
            drawer.callback_lag(),
        ],
        sum(each.accepted for each in traffic.points),
        not any(
            each.accepted
            or each.sent
            or each.received
            or each.failed
            or each.callbacks_failed
            or each.waiting
            for each in traffic.points
        ),
    )


@dataclass(frozen=True, slots=True)
class _Drawer:
    visit: Visit
    span: Span
    points: Sequence[TrafficPoint]

    @property
    def _formats(self) -> Formats:
        return Formats(locale_of(self.visit.language))

    def sent(self) -> TrafficChart:
        gettext = self.visit.gettext
        accepted = self._total(lambda p: p.accepted)
        title = gettext("Sent messages")
        return TrafficChart(
            title,
            self._total(lambda p: p.sent),
            gettext("%(count)s accepted (dashed line)", count=accepted),
            self._charts.area(
                self._series(lambda p: p.sent),
                title=title,
                summary=self._summary(lambda p: p.sent),
                compared=self._series(lambda p: p.accepted),
            ),
            gettext("Where the dashed line is higher, more came in than left: the queue grew."),
            is_wide=True,
        )

    def waiting(self) -> TrafficChart:
        gettext = self.visit.gettext
        title = gettext("Waiting")
        most = max(self.points, key=lambda p: p.waiting)
        count = self._formats.number(most.waiting)
        return TrafficChart(
            title,
            count,
            gettext("at most"),
            self._charts.area(
                self._series(lambda p: p.waiting),
                title=title,
                summary=self._at_most(count, most) if most.waiting else gettext("Nothing"),
                tone="wait",
            ),
            gettext("How many messages waited for their turn, counted once a minute."),
        )

    def failed(self) -> TrafficChart:
        title = self.visit.gettext("Messages that could not be sent")
        return TrafficChart(
            title,
            self._total(lambda p: p.failed),
            "",
            self._charts.bars(
                self._series(lambda p: p.failed),
                title=title,
                summary=self._summary(lambda p: p.failed),
                tone="bad",
            ),
        )

    def received(self) -> TrafficChart:
        title = self.visit.gettext("Received messages")
        return TrafficChart(
            title,
            self._total(lambda p: p.received),
            "",
            self._charts.area(
                self._series(lambda p: p.received),
                title=title,
                summary=self._summary(lambda p: p.received),
                tone="wait",
            ),
        )

    def seconds(self) -> TrafficChart:
        gettext, formats = self.visit.gettext, self._formats
        title = gettext("Time until sent")
        sent = sum(p.sent for p in self.points)
        mean = sum(p.latency_ms for p in self.points) / 1_000 / sent if sent else 0.0
        return TrafficChart(
            title,
            formats.duration(mean) if sent else "-",
            gettext("on average"),
            Charts(formats.short_duration).area(
                self._series(lambda p: p.latency_ms / 1_000 / p.sent if p.sent else 0),
                title=title,
                summary=formats.duration(mean),
            ),
            gettext("From when a message was accepted, or scheduled for, until WhatsApp had it."),
        )

    def callback_lag(self) -> TrafficChart:
        """Returns the mean lag of callbacks, and as a dashed line the longest of each step."""
        gettext, formats = self.visit.gettext, self._formats
        title = gettext("Time until callbacks arrive")
        timed = sum(p.callbacks_timed for p in self.points)
        mean = sum(p.callback_lag_ms for p in self.points) / 1_000 / timed if timed else 0.0
        most = max(self.points, key=lambda p: p.callback_lag_max_ms)
        longest = formats.duration(most.callback_lag_max_ms / 1_000)
        return TrafficChart(
            title,
            formats.duration(mean) if timed else "-",
            gettext("on average; at most %(time)s (dashed line)", time=longest),
            Charts(formats.short_duration).area(
                self._series(
                    lambda p: (
                        p.callback_lag_ms / 1_000 / p.callbacks_timed if p.callbacks_timed else 0
                    )
                ),
                title=title,
                summary=self._at_most(longest, most) if timed else gettext("Nothing"),
                compared=self._series(lambda p: p.callback_lag_max_ms / 1_000),
            ),
            gettext("From when something happened until your system had taken its callback."),
        )

    def callbacks(self) -> TrafficChart:
        title = self.visit.gettext("Callbacks")
        failed = self._total(lambda p: p.callbacks_failed)
        return TrafficChart(
            title,
            self._total(lambda p: p.callbacks_delivered),
            self.visit.gettext("%(count)s attempts failed (dashed line)", count=failed),
            self._charts.area(
                self._series(lambda p: p.callbacks_delivered),
                title=title,
                summary=self._summary(lambda p: p.callbacks_delivered),
                compared=self._series(lambda p: p.callbacks_failed),
            ),
        )

    @property
    def _charts(self) -> Charts:
        return Charts(self._formats.compact)

    def _series(self, value: Callable[[TrafficPoint], float]) -> list[Point]:
        shown = self.points if self.span.shows_last_step else self.points[:-1]
        return [Point(self._label(each.at), value(each)) for each in shown]

    def _total(self, value: Callable[[TrafficPoint], int]) -> str:
        return self._formats.number(sum(map(value, self.points)))

    def _summary(self, value: Callable[[TrafficPoint], int]) -> str:
        """Returns what a screen reader says: the total, and when there was most."""
        most = max(self.points, key=value, default=None)
        if most is None or not value(most):
            return self.visit.gettext("Nothing")
        return self.visit.gettext(
            "%(total)s in all, most at %(time)s: %(most)s",
            total=self._total(value),
            time=self._label(most.at),
            most=self._formats.number(value(most)),
        )

    def _at_most(self, value: str, point: TrafficPoint) -> str:
        """Returns what a screen reader says of a value that has no total."""
        return self.visit.gettext(
            "At most %(most)s, at %(time)s", most=value, time=self._label(point.at)
        )

    def _label(self, at: datetime) -> str:
        locale, zone = locale_of(self.visit.language), self.visit.zone
        if self.span.hours <= _DAY_HOURS:
            return format_time(at, "short", tzinfo=zone, locale=locale)
        return format_skeleton("MMMd", at, tzinfo=zone, locale=locale)
