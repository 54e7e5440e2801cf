"""Each filter and combinations of them, compared with the same query on Delta."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from deltalake import DeltaTable
from numpy.typing import NDArray
from tests.support.dashboard_backend import Backend
from tests.support.delta_tables import scored, write

from core.lake import query, sql_time
from dashboard.activity import long_ranges, queries
from dashboard.activity.chart_words import chart_words
from dashboard.activity.export import csv_lines
from dashboard.activity.filter_events import input_values
from dashboard.activity.filters import ORDERS, Filters
from dashboard.activity.long_ranges import LongRanges
from dashboard.activity.page_text import page_text, threshold_readout
from dashboard.activity.table import table_rows
from dashboard.activity.view import TABLE
from dashboard.lake.partitions import Partition, PartitionSummary, summarize
from dashboard.lake.sources import Lake
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
    ("pattern=version_3", "array_has(patterns, 'version_3')"),
    ("hash=a", "hash LIKE 'a%'"),
    ("flagged=1", "is_anomaly"),
    ("flagged=1&threshold=0.5", "anomaly_score >= 0.5 OR flagged_by IN ('rule', 'both')"),
    ("times_min=3", "fee_rate / market_fee_rate >= 3"),
    ("times_max=0.5", "fee_rate / market_fee_rate <= 0.5"),
    ("flagged_by=rule", "flagged_by = 'rule'"),
    ("flagged_by=model", "is_anomaly AND coalesce(flagged_by, 'model') = 'model'"),
    ("flagged_by=model,both", "is_anomaly AND coalesce(flagged_by, 'model') <> 'rule'"),
    ("flagged_by=both&threshold=0.5", "anomaly_score >= 0.5 AND flagged_by IN ('rule', 'both')"),
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
    now = services.recent.snapshot.taken_at
    lines = "".join(csv_lines(services.lake, filters, now, lambda: False)).splitlines()[1:]
    assert sorted(line.split(",")[0] for line in lines) == sorted(expected.to_pylist())
    view = services.views.view(filters, "dark", "UTC")
    assert len(expected) == (
        view.summary.flagged if filters.only_flagged else view.summary.transactions
    )
    assert len(expected) > 0
    assert [row["hash"] for row in view.table] == expected.to_pylist()[: len(view.table)]


def test_a_threshold_of_zero_is_one(services: Services) -> None:
    filters = Filters.from_query("?threshold=0")
    view = services.views.view(filters, "dark", "UTC")
    assert input_values(filters, 0.62, ZoneInfo("UTC"))["threshold"] == 0
    assert view.figures["scores"]["layout"]["shapes"][0]["x0"] == 0
    assert "the threshold is 0.000" in chart_words(view, filters.threshold)["scores"]
    assert "0.000 for all" in str(threshold_readout(view.snapshot, view.aggregates, filters))


@pytest.mark.parametrize("threshold", [0.45, 0.5, 0.62])
def test_the_threshold_flags_what_a_count_on_the_table_counts(
    backend: Backend, services: Services, threshold: float
) -> None:
    view = services.views.view(Filters(range="24h", threshold=threshold), "dark", "UTC")
    counted = query(
        f"SELECT count(*) AS n FROM t WHERE anomaly_score >= {threshold}"
        " OR flagged_by IN ('rule', 'both')",
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


@pytest.mark.parametrize(
    "parameters", [q for q, _ in QUERIES], ids=[q or "all" for q, _ in QUERIES]
)
@pytest.mark.parametrize("order", ORDERS)
def test_the_query_engine_counts_what_numpy_counts(
    services: Services, parameters: str, order: str
) -> None:
    filters = Filters.from_query(f"?range=24h&order={order}&{parameters}")
    snapshot = services.recent.snapshot
    memory, _ = services.views.aggregates(filters, snapshot)
    start, end = filters.interval(snapshot.taken_at)
    lake = services.views.long_ranges.aggregate(filters, start, end, snapshot.taken_at)
    exact = replace(memory.summary, median_fee_rate=0)
    assert replace(lake.summary, median_fee_rate=0) == exact
    assert lake.summary.median_fee_rate == pytest.approx(memory.summary.median_fee_rate, rel=0.02)
    names = ("edges", "counts", "anomalies", "score_counts", "slider_counts", "rule_counts")
    for name in (*names, "then_counts", "margin_counts"):
        assert getattr(lake, name).tolist() == getattr(memory, name).tolist(), name
    assert lake.champions == memory.champions
    assert lake.bands == pytest.approx(lower_bands(memory), rel=0.011, nan_ok=True)
    assert dict(lake.pattern_counts) == dict(memory.pattern_counts)
    tables = [table_rows(each.rows, each.flagged, order) for each in (lake, memory)]
    assert [row["hash"] for row in tables[0]] == [row["hash"] for row in tables[1]]
    drawn = [set(each.rows.take(each.drawn[1]).hashes()) for each in (lake, memory)]
    if memory.summary.flagged <= queries.MAX_POINTS:
        assert drawn[0] == drawn[1]


def test_the_outlying_of_a_long_range_are_drawn(services: Services) -> None:
    filters, snapshot = Filters(range="24h"), services.recent.snapshot
    start, end = filters.interval(snapshot.taken_at)
    lake = services.views.long_ranges.aggregate(filters, start, end, snapshot.taken_at)
    memory, _ = services.views.aggregates(filters, snapshot)
    ordinary, drawn = memory.rows.take(~memory.flagged), lake.rows.take(lake.drawn[0])
    assert len(drawn) < len(ordinary)
    for column in ("fee_rate", "output_value"):
        values = np.sort(ordinary[column])
        assert set(values[:5]) | set(values[-5:]) <= set(drawn[column])


def lower_bands(aggregates: queries.Aggregates) -> NDArray[np.float64]:
    """The fee rates of rows, where NumPy's percentiles would lie between two rows."""
    times, edges = aggregates.rows["time"], aggregates.edges
    bands = np.full((5, len(edges) - 1), np.nan)
    for i, first in enumerate(edges[:-1]):
        rates = aggregates.rows["fee_rate"][(times >= first) & (times < edges[i + 1])]
        if len(rates):
            bands[:, i] = np.percentile(rates, queries.FEE_RATE_PERCENTILES, method="lower")
    return bands


def test_a_filter_changes_neither_the_present_rate_nor_what_the_budget_is_compared_with(
    services: Services,
) -> None:
    whole, filtered = (
        page_text(services.views.view(filters, "dark", "UTC"), filters, 5).tiles
        for filters in (Filters(range="24h"), Filters(range="24h", inputs_min=2))
    )
    assert whole["rate"].number == filtered["rate"].number
    assert "pass the filters in the last 24 h" in filtered["rate"].note
    assert "budget" in whole["flagged"].note and "budget" not in filtered["flagged"].note


def test_a_tile_says_since_when_there_are_transactions(services: Services) -> None:
    def passed(query: str) -> str:
        filters = Filters.from_query(query)
        view = services.views.view(filters, "dark", "UTC")
        return page_text(view, filters, 5).tiles["rate"].note

    assert re.search(r"6,000 in the last 24 h; the first 3 h( \d+ min)? ago", passed("?range=24h"))
    assert "the first" not in passed("?range=1h")
    assert "the first" not in passed("?range=1h&fee_rate_min=100000000")
    for seldom in ("flagged=1", "flagged_by=both"):
        assert "the first" not in passed(f"?range=1h&{seldom}")


def test_a_volume_that_is_mostly_one_transaction_says_so(
    backend: Backend, services: Services
) -> None:
    values = sorted(backend.rows["output_value"].to_pylist())
    for least, alone in ((values[-1] / 1e8, True), (0.0001, False)):
        filters = Filters.from_query(f"?range=24h&value_min={least:.8f}")
        view = services.views.view(filters, "dark", "UTC")
        note = page_text(view, filters, 5).tiles["volume"].note
        assert ("by one transaction" in note) == alone, note


def test_more_rows_than_memory_keeps_are_counted_all_the_same(backend: Backend) -> None:
    services = backend.services(cache_rows=1_000)
    services.recent.refresh()
    view = services.views.view(Filters(range="24h", order="newest"), "dark", "UTC")
    newest = backend.rows.sort_by([("event_time", "descending")]).slice(0, 250)
    assert len(services.recent.snapshot.rows) < 2_000
    assert view.summary.transactions == 6_000 and view.problem is None
    assert [row["hash"] for row in view.table] == newest.column("hash").to_pylist()


def test_a_past_day_is_summarised_once_until_its_files_change(
    backend: Backend, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, read = datetime.now(UTC), []
    for days in (3, 4):
        old = scored(100, now - timedelta(days=days), 60, seed=days)
        write(backend.lake, "scored_transactions", old)

    def count(lake: Lake, partition: Partition, *others: Any) -> PartitionSummary:
        read.append(partition.day)
        return summarize(lake, partition, *others)

    monkeypatch.setattr(long_ranges, "summarize", count)
    ranges = LongRanges(services.lake)
    past = [(now - timedelta(days=days, seconds=1)).date() for days in (3, 4)]
    while ranges.warm(now):
        pass
    assert {day for day in past if read.count(day) == 1} == set(past)
    interval = Filters(range="7d").interval(now)
    first = ranges.aggregate(Filters(range="7d"), *interval, now)
    assert first.summary.transactions == 6_200
    assert all(read.count(day) == 1 for day in past)
    write(backend.lake, "scored_transactions", scored(50, now - timedelta(days=3), 60, seed=9))
    second = ranges.aggregate(Filters(range="7d"), *interval, now)
    assert second.summary.transactions == 6_250
    assert [read.count(day) for day in past] == [2, 1]


def test_a_range_within_the_past_counts_only_its_own(backend: Backend, services: Services) -> None:
    end = datetime.now(UTC) - timedelta(days=3)
    write(backend.lake, "scored_transactions", scored(400, end, 3_600, seed=9))
    half = Filters(range="custom", start=end - timedelta(minutes=30), end=end)
    expected = query(
        f"SELECT count(*) AS n FROM t WHERE event_time >= {sql_time(end - timedelta(minutes=30))}"
        f" AND event_time <= {sql_time(end)}",
        t=DeltaTable(str(backend.lake / "scored_transactions")),
    )["n"][0].as_py()
    view = services.views.view(half, "dark", "UTC")
    assert 0 < expected < 400
    assert view.summary.transactions == expected == view.aggregates.counts.sum()


def test_viewers_with_the_same_filters_share_one_view(services: Services) -> None:
    first = services.views.view(Filters(), "dark", "UTC")
    assert services.views.view(Filters(), "dark", "UTC") is first
    assert services.views.view(Filters(), "light", "UTC") is not first
    services.recent.refresh()
    assert services.views.view(Filters(), "dark", "UTC") is not first


def test_a_view_says_since_when_each_part_of_it_is_as_it_is(
    backend: Backend, services: Services
) -> None:
    first = services.views.view(Filters(range="24h"), "dark", "UTC")
    assert set(first.changed_since(-1)) == {*first.figures, TABLE}
    serial = first.snapshot.serial
    services.recent.refresh()
    same = services.views.view(Filters(range="24h"), "dark", "UTC")
    assert same.snapshot.serial > serial and not same.changed_since(serial)
    write(backend.lake, "scored_transactions", scored(40, datetime.now(UTC), 2, seed=5))
    services.recent.refresh()
    other = services.views.view(Filters(range="24h"), "dark", "UTC")
    assert {"timeline", "scores"} <= set(other.changed_since(serial))
    assert "windows" not in other.changed_since(serial), "no window has closed"
    assert set(other.changed_since(-1)) == {*first.figures, TABLE}


def test_a_range_without_rows_is_drawn_empty(services: Services) -> None:
    view = services.views.view(Filters(fee_rate_min=1e9), "dark", "UTC")
    assert view.table == [] and view.summary.transactions == 0
    assert view.figures["timeline"]["data"] and view.figures["fee_rates"]["data"]


def test_a_chart_without_anything_to_draw_says_why(services: Services) -> None:
    view = services.views.view(Filters(), "dark", "UTC")
    assert set(page_text(view, Filters(), 5).empty.values()) == {""}
    none = np.zeros_like(view.aggregates.score_counts)
    unscored = replace(view.aggregates, score_counts=none, pattern_counts=[])
    said = page_text(replace(view, aggregates=unscored), Filters(), 5).empty
    assert said["scores"] == "None of these transactions has a score."
    assert said["patterns"] == "None of these transactions is flagged."
    assert said["timeline"] == said["market"] == ""


def test_a_range_that_cannot_be_read_is_not_said_to_be_empty(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no such host")

    monkeypatch.setattr(services.views.long_ranges, "aggregate", fail)
    cannot = "What this range holds cannot be read just now."
    for asked, said in (("?range=7d", ""), ("?range=custom&end=2020-01-02T00:00:00Z", cannot)):
        filters = Filters.from_query(asked)
        text = page_text(services.views.view(filters, "dark", "UTC"), filters, 5)
        assert any("cannot be read just now" in notice for notice in text.notices)
        assert text.empty["timeline"] == text.empty["scores"] == said


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
