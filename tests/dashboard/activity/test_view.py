"""Each filter and combinations of them, compared with the same query on Delta."""

from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable
from tests.support.dashboard_backend import Backend
from tests.support.delta_tables import scored, write

from core.lake import query
from dashboard.activity.export import csv_lines
from dashboard.activity.filters import Filters
from dashboard.services import Services

QUERIES = [
    ("", "TRUE"),
    ("value_min=0.5", "output_value >= 50000000"),
    ("value_max=0.01", "output_value <= 1000000"),
    ("fee_rate_min=30", "fee_rate >= 30"),
    ("fee_rate_max=12.5", "fee_rate <= 12.5"),
    ("inputs_min=2&inputs_max=3", "inputs_count BETWEEN 2 AND 3"),
    ("outputs_min=3", "outputs_count >= 3"),
    ("pattern=consolidation,none", "pattern = 'consolidation' OR pattern IS NULL"),
    ("hash=a", "hash LIKE 'a%'"),
    ("flagged=1", "is_anomaly"),
    ("flagged=1&threshold=0.5", "anomaly_score >= 0.5"),
    (
        "value_min=0.001&fee_rate_min=10&inputs_max=4&outputs_max=5&pattern=none",
        "output_value >= 100000 AND fee_rate >= 10 AND inputs_count <= 4 AND outputs_count <= 5"
        " AND pattern IS NULL",
    ),
]


@pytest.mark.parametrize(("parameters", "where"), QUERIES, ids=[q or "all" for q, _ in QUERIES])
def test_a_filter_shows_what_the_same_query_on_delta_finds(
    backend: Backend, services: Services, parameters: str, where: str
) -> None:
    filters = Filters.from_query(f"?range=24h&order=newest&{parameters}")
    expected = query(
        f"SELECT hash FROM t WHERE ({where}) ORDER BY event_time DESC",
        t=DeltaTable(str(backend.lake / "scored_transactions")),
    ).column("hash")
    rows, _ = services.views.rows(filters, services.recent.snapshot)
    lines = "".join(csv_lines(rows, filters)).splitlines()[1:]
    assert sorted(line.split(",")[0] for line in lines) == sorted(expected.to_pylist())
    view = services.views.view(filters, "dark", "UTC")
    assert len(expected) == (view.summary.flagged if filters.flagged else view.summary.transactions)
    assert len(expected) > 0
    assert [row["hash"] for row in view.table] == expected.to_pylist()[: len(view.table)]


@pytest.mark.parametrize("threshold", [0.45, 0.5, 0.62])
def test_the_threshold_flags_what_a_count_on_the_table_counts(
    backend: Backend, services: Services, threshold: float
) -> None:
    view = services.views.view(Filters(range="24h", threshold=threshold), "dark", "UTC")
    counted = query(
        f"SELECT count(*) AS n FROM t WHERE anomaly_score >= {threshold}",
        t=DeltaTable(str(backend.lake / "scored_transactions")),
    )
    assert view.summary.flagged == counted.column("n")[0].as_py()


def test_a_range_beyond_the_recent_rows_is_read_from_delta(
    backend: Backend, services: Services
) -> None:
    old = scored(300, datetime.now(UTC) - timedelta(days=3), 3_600, seed=9)
    write(backend.lake, "scored_transactions", old)
    view = services.views.view(Filters(range="7d"), "dark", "UTC")
    assert view.summary.transactions == 6_300 and view.problem is None


def test_a_range_of_too_many_rows_shows_the_newest_and_says_so(backend: Backend) -> None:
    services = backend.services(max_rows=1_000)
    services.recent.refresh()
    view = services.views.view(Filters(range="7d"), "dark", "UTC")
    newest = backend.rows.sort_by([("event_time", "descending")]).slice(0, 250)
    assert view.summary.transactions == 1_000
    assert view.problem and "1,000" in view.problem
    newest_first = services.views.view(Filters(range="7d", order="newest"), "dark", "UTC")
    assert [row["hash"] for row in newest_first.table] == newest.column("hash").to_pylist()


def test_viewers_with_the_same_filters_share_one_view(services: Services) -> None:
    first = services.views.view(Filters(), "dark", "UTC")
    assert services.views.view(Filters(), "dark", "UTC") is first
    assert services.views.view(Filters(), "light", "UTC") is not first
    services.recent.refresh()
    assert services.views.view(Filters(), "dark", "UTC") is not first


def test_a_range_without_rows_is_drawn_empty(services: Services) -> None:
    view = services.views.view(Filters(fee_rate_min=1e9), "dark", "UTC")
    assert view.table == [] and view.summary.transactions == 0
    assert view.figures["timeline"]["data"] and view.figures["fee_rates"]["data"]


def test_times_are_drawn_in_the_viewers_zone(services: Services) -> None:
    here = services.views.view(Filters(), "dark", "UTC").figures["timeline"]["data"][0]["x"][0]
    there = services.views.view(Filters(), "dark", "Asia/Kolkata").figures["timeline"]["data"][0][
        "x"
    ][0]
    ahead = datetime.fromisoformat(there) - datetime.fromisoformat(here)
    assert ahead == timedelta(hours=5, minutes=30)


def test_the_ten_minute_statistics_are_those_of_the_stream(services: Services) -> None:
    windows = services.views.view(Filters(range="24h"), "dark", "UTC").figures["windows"]
    assert sum(windows["data"][0]["customdata"]) == 6_000
