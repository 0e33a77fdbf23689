"""Charts are drawn with classes alone, and say in words what they show."""

import pytest
from markupsafe import Markup

from gateway.panel.charts import Charts, Point, nice_top

POINTS = [Point("10:00", 3), Point("11:00", 12), Point("12:00", 0)]


def charts() -> Charts:
    return Charts(lambda value: f"{value:g}")


@pytest.mark.parametrize("kind", ["area", "bars"])
def test_a_chart_has_title_description_and_no_inline_style(kind: str) -> None:
    drawn: Markup = getattr(charts(), kind)(POINTS, title="Sent <b>")

    assert "Sent &lt;b&gt;</title>" in drawn
    assert "10:00: 3; 11:00: 12; 12:00: 0</desc>" in drawn
    assert "style=" not in drawn
    assert "<span>12</span>" in drawn
    assert "<span>11:00</span>" in drawn


@pytest.mark.parametrize("kind", ["area", "bars"])
def test_a_chart_without_points_is_an_empty_frame(kind: str) -> None:
    drawn = getattr(charts(), kind)([], title="Sent")

    assert "chart-grid" in drawn
    assert "chart-line" not in drawn
    assert "chart-bar" not in drawn


def test_two_charts_of_a_page_have_ids_of_their_own() -> None:
    first, second = (charts().area(POINTS, title="Sent") for _ in range(2))

    assert first.split('aria-labelledby="')[1] != second.split('aria-labelledby="')[1]


def test_a_chart_shows_at_most_six_labels() -> None:
    drawn = charts().bars([Point(f"day {n}", n) for n in range(31)], title="Sent")

    assert drawn.split('chart-x"')[1].count("<span>") == 6


def test_a_sparkline_of_one_or_no_value_is_drawn() -> None:
    assert "polyline" in charts().sparkline([], title="none")
    assert "polyline" in charts().sparkline([4], title="one")


@pytest.mark.parametrize(
    ("largest", "top"), [(0, 4), (4, 4), (5, 8), (12, 12), (100, 100), (101, 120), (0.3, 4)]
)
def test_the_axis_ends_at_a_round_number_above_the_largest(largest: float, top: float) -> None:
    assert nice_top(largest) == top


def test_a_second_line_shares_the_axis_and_is_read_beside_the_first() -> None:
    compared = [Point("10:00", 30), Point("11:00", 2), Point("12:00", 0)]

    drawn = charts().area(POINTS, title="Sent", compared=compared, tone="bad")

    assert 'class="chart chart-bad"' in drawn
    assert "chart-compared" in drawn
    assert "<span>40</span>" in drawn
    assert "<title>10:00: 3 / 30</title>" in drawn
