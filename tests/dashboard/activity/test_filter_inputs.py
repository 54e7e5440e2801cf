from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from dashboard.activity import filter_inputs
from dashboard.activity.filters import Filters

NOW = datetime(2026, 11, 23, 10, 7, 30, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")


def after(cause: str, old: Filters | None = None, **inputs: Any) -> Filters:
    view = old or Filters()
    shown = filter_inputs.values(view, 0.62, ZONE) | inputs
    return filter_inputs.changed(view, cause, shown, inputs.get("brushed"),
        inputs.get("clicked"), 0.62,
                        NOW, ZONE)  # fmt: skip


def test_what_the_inputs_show_reads_back_as_the_same_view() -> None:
    view = Filters.from_query(
        "?range=custom&start=2026-11-22T10:00:00Z&end=2026-11-23T09:30:00Z&threshold=0.7"
        "&value_min=0.5&fee_rate_max=80&inputs_min=2&pattern=coinjoin&flagged=1&hash=ab&order=value"
    )
    assert after("order", view) == view


def test_the_viewers_clock_is_written_to_the_url_as_utc() -> None:
    view = after("start", range="custom", start="2026-11-22T05:00", end="2026-11-23T04:30")
    assert view.start == datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_choosing_custom_begins_with_the_last_day() -> None:
    view = after("range", range="custom", start=None, end=None)
    assert view.end == datetime(2026, 11, 23, 10, 7, tzinfo=UTC)
    assert view.start == datetime(2026, 11, 22, 10, 7, tzinfo=UTC)


def test_the_slider_back_at_the_models_threshold_is_no_threshold_of_ones_own() -> None:
    assert after("threshold", threshold=0.55).threshold == 0.55
    assert after("threshold", threshold=0.62).threshold is None


def test_a_brush_filters_by_the_sides_of_its_box() -> None:
    box = {"range": {"x": [2.0, 0.5], "y": [10.0, 90.0]}}
    view = after("scatter", brushed=box)
    assert (view.value_min, view.value_max) == (50_000_000, 200_000_000)
    assert (view.fee_rate_min, view.fee_rate_max) == (10, 90)
    assert after("scatter", view, brushed=None) == view


def test_a_click_on_a_pattern_filters_by_it_and_another_takes_it_away() -> None:
    click = {"points": [{"customdata": "coinjoin"}]}
    view = after("patterns", clicked=click)
    assert view.pattern == ("coinjoin",)
    assert after("patterns", view, clicked=click).pattern == ()


def test_a_reset_forgets_everything() -> None:
    assert after("reset", Filters(range="24h", flagged=True)) == Filters()
