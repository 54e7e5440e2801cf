from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dashboard.activity.filter_events import after_event, input_values
from dashboard.activity.filters import Filters

NOW = datetime(2026, 11, 23, 10, 7, 30, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")


def after(trigger: str, old: Filters | None = None, **inputs: Any) -> Filters:
    old = old or Filters()
    values = input_values(old, 0.62, ZONE) | inputs
    return after_event(old, trigger, values, inputs.get("drawn"), 0.62, NOW, ZONE)


def test_what_the_inputs_hold_reads_back_as_the_same_filters() -> None:
    filters = Filters.from_query(
        "?range=custom&start=2026-11-22T10:00:00Z&end=2026-11-23T09:30:00Z&threshold=0.7"
        "&value_min=0.5&fee_rate_max=80&inputs_min=2&pattern=coinjoin&flagged=1&hash=ab&order=value"
        "&times_min=3&times_max=50&flagged_by=model,rule&axis=times"
    )
    assert after("order", filters) == filters


@pytest.mark.parametrize("text", ["", "soon", "9999-12-31T23:59", "²"])
def test_a_time_that_no_clock_shows_is_ignored(text: str) -> None:
    assert after("start", range="custom", start=text).start is None


def test_the_viewers_clock_is_written_to_the_url_as_utc() -> None:
    filters = after("start", range="custom", start="2026-11-22T05:00", end="2026-11-23T04:30")
    assert filters.start == datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_choosing_custom_begins_with_the_last_day() -> None:
    filters = after("range", range="custom", start=None, end=None)
    assert filters.end == datetime(2026, 11, 23, 10, 7, tzinfo=UTC)
    assert filters.start == datetime(2026, 11, 22, 10, 7, tzinfo=UTC)


def test_a_threshold_applies_to_all_once_the_slider_has_left_its_place() -> None:
    assert after("threshold", threshold=0.62).threshold is None
    own = after("threshold", threshold=0.55)
    assert own.threshold == 0.55
    assert after("threshold", own, threshold=0.62).threshold == 0.62


def test_another_input_leaves_the_threshold_as_it_is() -> None:
    assert after("range", range="6h", threshold=0.7) == Filters(range="6h")
    assert after("range", Filters(threshold=0.55), range="6h").threshold == 0.55


def test_a_brush_filters_by_the_sides_of_its_box() -> None:
    box = {"range": {"x": [2.0, 0.5], "y": [10.0, 90.0]}}
    filters = after("scatter", drawn=box)
    assert (filters.value_min, filters.value_max) == (50_000_000, 200_000_000)
    assert (filters.fee_rate_min, filters.fee_rate_max) == (10, 90)
    assert after("scatter", filters, drawn=None) == filters


def test_a_brush_beside_the_market_filters_by_multiples_of_it() -> None:
    box = {"range": {"x": [0.5, 2.0], "y": [0.25, 30.0]}}
    filters = after("scatter", Filters(axis="times"), drawn=box)
    assert (filters.times_min, filters.times_max) == (0.25, 30)
    assert filters.fee_rate_min is None and filters.axis == "times"


def test_a_click_on_a_pattern_filters_by_it_and_a_second_click_removes_it() -> None:
    click = {"points": [{"customdata": "coinjoin"}]}
    filters = after("patterns", drawn=click)
    assert filters.pattern == ("coinjoin",)
    assert after("patterns", filters, drawn=click).pattern == ()


def test_a_reset_removes_every_filter() -> None:
    assert after("reset", Filters(range="24h", flagged=True)) == Filters()


def test_a_span_drawn_on_the_timeline_is_the_range_in_the_viewers_zone() -> None:
    span = {"range": {"x": ["2026-11-23 04:40:30.5", "2026-11-23 04:12:01"], "y": [0, 9]}}
    filters = after("span", Filters(value_min=5), drawn=span)
    assert filters.query == (
        "?range=custom&start=2026-11-23T09:12:01Z&end=2026-11-23T09:40:30Z&value_min=0.00000005"
    )
    assert after("span", filters, drawn=None) == filters


def test_a_click_on_a_bar_of_the_timeline_is_the_range_of_that_bar() -> None:
    bar = {"points": [{"x": "2026-11-23 04:12:00"}]}
    filters = after("bar", Filters(range="1h"), drawn=bar)
    assert filters.start == datetime(2026, 11, 23, 9, 12, tzinfo=UTC)
    assert filters.end is not None
    assert filters.end - filters.start == timedelta(seconds=60) - timedelta.resolution
    assert Filters.from_query(filters.query) == filters


def test_an_input_that_shows_no_seconds_does_not_cut_them_off() -> None:
    filters = Filters.from_query(
        "?range=custom&start=2026-11-23T09:12:01Z&end=2026-11-23T09:12:40Z"
    )
    assert after("order", filters, order="value").start == filters.start
    assert after("start", filters, start="2026-11-23T04:11").end == filters.end
