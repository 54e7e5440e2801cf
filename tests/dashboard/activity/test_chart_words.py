from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc
from tests.support.dashboard_backend import Backend

from dashboard.activity.chart_words import NOTHING, chart_words
from dashboard.activity.filters import Filters
from dashboard.activity.page_text import page_text
from dashboard.services import Services


def words(services: Services, query: str, threshold: float | None = None) -> dict[str, str]:
    return chart_words(services.views.view(Filters.from_query(query), "dark", "UTC"), threshold)


def test_each_chart_says_what_it_shows(backend: Backend, services: Services) -> None:
    said = words(services, "?range=24h")
    flagged = backend.rows.filter(backend.rows["is_anomaly"])
    assert f"6,000 transactions, {len(flagged):,} of them flagged" in said["timeline"]
    assert "the threshold is 0.620" in said["scores"] and "Scores from 0.3" in said["scores"]
    assert "the threshold is 0.500" in words(services, "?range=24h", 0.5)["scores"]
    assert f"{len(flagged):,} flagged, with fee rates from" in said["scatter"]
    assert said["market"].startswith("The going rate is ")
    assert said["fee_rates"].startswith("The median fee rate goes from ")
    counted = pc.value_counts(flagged["pattern"]).to_pylist()
    dust = next(each["counts"] for each in counted if each["values"] == "dust_fan_out")
    assert f"dust fan out {dust}" in said["patterns"]
    assert "BTC of fees" in said["windows"]


def test_a_range_without_rows_draws_nothing(services: Services) -> None:
    end = datetime.now(UTC) - timedelta(days=400)
    span = (
        f"?range=custom&start={end:%Y-%m-%dT%H:%MZ}&end={end + timedelta(hours=1):%Y-%m-%dT%H:%MZ}"
    )
    said = words(services, span)
    assert [said[name] for name in ("timeline", "scores", "fee_rates", "patterns")] == [NOTHING] * 4
    assert "None is flagged" in said["scatter"]
    assert said["windows"] == NOTHING


def test_the_ten_minute_statistics_are_those_of_the_range(
    backend: Backend, services: Services
) -> None:
    def span(hours: float) -> tuple[str, str]:
        end = backend.now - timedelta(hours=hours)
        start = end - timedelta(hours=1)
        query = f"?range=custom&start={start:%FT%TZ}&end={end:%FT%TZ}"
        filters = Filters.from_query(query)
        view = services.views.view(filters, "dark", "UTC")
        return words(services, query)["windows"], page_text(view, filters, 5).empty["windows"]

    now, before, never = span(0), span(1), span(48)
    assert now[0] != before[0] and now[1] == before[1] == ""
    assert never == (NOTHING, "No ten minutes of this range are among those of the last 8 days.")
