"""Charts as SVG, drawn on the server: classes only, so that they need no inline style.

The plot is stretched to the width of its place; labels are HTML beside it, so that they are not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil, log10
from typing import Final

from markupsafe import Markup

_WIDTH, _HEIGHT = 600, 160
_MAX_LABELS = 6
_GRID_LINES = 4
_NICE: Final = (1, 2, 2.5, 3, 4, 5, 10)
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Point:
    """One value, and how its place on the x axis is written."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Charts:
    """Draws charts; *number* writes a value in the language of the page."""

    number: Callable[[float], str]

    def area(
        self,
        points: Sequence[Point],
        *,
        title: str,
        summary: str = "",
        tone: str = "",
        compared: Sequence[Point] = (),
    ) -> Markup:
        """Returns a line with a filled area below it, for values over time.

        *tone* is `bad` or `wait` for another colour than the usual one; *compared* is a second,
        dashed line over the same times.
        """
        top = nice_top(max((p.value for p in (*points, *compared)), default=0))
        xs = _spread(len(points))
        line = _line(points, top)
        body = Markup("")
        if points:
            body = Markup(
                '<polygon class="chart-fill" points="{0:.1f},{3} {2} {1:.1f},{3}"/>'
                '<polyline class="chart-line" points="{2}"/>'
            ).format(xs[0], xs[-1], line, _HEIGHT)
        if compared:
            body += Markup('<polyline class="chart-compared" points="{}"/>').format(
                _line(compared, top)
            )
        body += self._targets(points, compared)
        return self._figure(points, body, top, title=title, summary=summary, tone=tone)

    def bars(
        self, points: Sequence[Point], *, title: str, summary: str = "", tone: str = ""
    ) -> Markup:
        """Returns one bar for each value."""
        top = nice_top(max((p.value for p in points), default=0))
        slot = _WIDTH / max(1, len(points))
        bars = Markup("").join(
            Markup(
                '<rect class="chart-bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
            ).format(
                number * slot + slot * 0.15,
                _y(p.value, top),
                slot * 0.7,
                _HEIGHT - _y(p.value, top),
            )
            for number, p in enumerate(points)
        )
        body = bars + self._targets(points)
        return self._figure(points, body, top, title=title, summary=summary, tone=tone)

    def sparkline(self, values: Sequence[float], *, title: str) -> Markup:
        """Returns a small line without axes; *title* says in words what it shows."""
        width, height = 120, 32
        top = max(values, default=0) or 1
        step = width / max(1, len(values) - 1)
        line = " ".join(
            f"{i * step:.1f},{height - 2 - value / top * (height - 4):.1f}"
            for i, value in enumerate(values)
        )
        return Markup(
            '<svg class="sparkline" viewBox="0 0 {0} {1}" preserveAspectRatio="none" role="img"'
            ' aria-label="{2}"><polygon class="chart-fill" points="0,{1} {3} {0},{1}"/>'
            '<polyline class="chart-line" points="{3}"/></svg>'
        ).format(width, height, title, line)

    def _targets(self, points: Sequence[Point], compared: Sequence[Point] = ()) -> Markup:
        """Returns what shows a value where the pointer is."""
        slot = _WIDTH / max(1, len(points))
        seconds = [f" / {self.number(each.value)}" for each in compared] or [""] * len(points)
        targets = Markup("").join(
            Markup(
                '<rect x="{:.1f}" width="{:.1f}" height="{}"><title>{}: {}{}</title></rect>'
            ).format(number * slot, slot, _HEIGHT, p.label, self.number(p.value), second)
            for number, (p, second) in enumerate(zip(points, seconds, strict=True))
        )
        return Markup('<g class="chart-targets">{}</g>').format(targets)

    def _figure(
        self,
        points: Sequence[Point],
        body: Markup,
        top: float,
        *,
        title: str,
        summary: str,
        tone: str,
    ) -> Markup:
        name = f"chart{next(_NUMBERS)}"
        described = summary or "; ".join(f"{p.label}: {self.number(p.value)}" for p in points)
        lines = Markup("").join(
            Markup('<line class="chart-grid" x1="0" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                _WIDTH, y, y
            )
            for y in (_HEIGHT * part / _GRID_LINES for part in range(_GRID_LINES + 1))
        )
        marks = [top * part / _GRID_LINES for part in range(_GRID_LINES, -1, -1)]
        return Markup(
            '<figure class="chart{tone}"><div class="chart-y" aria-hidden="true">{ys}</div>'
            '<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img"'
            ' aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{title}</title>'
            '<desc id="{name}-d">{described}</desc>{lines}{body}</svg>'
            '<div class="chart-x" aria-hidden="true">{xs}</div></figure>'
        ).format(
            name=name,
            tone=f" chart-{tone}" if tone else "",
            title=title,
            described=described,
            lines=lines,
            body=body,
            width=_WIDTH,
            height=_HEIGHT,
            ys=Markup("").join(Markup("<span>{}</span>").format(self.number(m)) for m in marks),
            xs=Markup("").join(Markup("<span>{}</span>").format(p.label) for p in _shown(points)),
        )


def nice_top(largest: float) -> float:
    """Returns the end of an axis: at least *largest*, and easy to divide by four."""
    if largest <= _GRID_LINES:
        return float(_GRID_LINES)
    step = largest / _GRID_LINES
    power = 10.0 ** (log10(step) // 1)
    chosen = next(each for each in _NICE if each * power >= step)
    return float(ceil(chosen * power)) * _GRID_LINES


def _line(points: Sequence[Point], top: float) -> str:
    xs = _spread(len(points))
    return " ".join(f"{x:.1f},{_y(p.value, top):.1f}" for x, p in zip(xs, points, strict=True))


def _y(value: float, top: float) -> float:
    return _HEIGHT - value / top * (_HEIGHT - 2)


def _spread(length: int) -> list[float]:
    """Returns the middle of each point's part of the width."""
    slot = _WIDTH / max(1, length)
    return [(number + 0.5) * slot for number in range(length)]


def _shown(points: Sequence[Point]) -> Sequence[Point]:
    """Returns the points whose labels fit."""
    if len(points) <= _MAX_LABELS:
        return points
    step = (len(points) - 1) / (_MAX_LABELS - 1)
    return [points[round(number * step)] for number in range(_MAX_LABELS)]
