"""Each filter and their combinations, against the same question asked of Delta directly."""

from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable
from tests.dashboard.conftest import World
from tests.dashboard.lake_maker import scored, write

from core.lake import query
from dashboard.activity import export
from dashboard.activity.filters import Filters

QUESTIONS = [
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


@pytest.mark.parametrize(("words", "where"), QUESTIONS, ids=[q or "all" for q, _ in QUESTIONS])
def test_a_filter_shows_what_the_same_query_on_delta_finds(
    world: World, words: str, where: str
) -> None:
    parts = world.desk()
    now = parts.recent.refresh().taken
    view = Filters.from_query(f"?range=24h&order=newest&{words}")
    found = query(
        f"SELECT hash FROM t WHERE ({where}) ORDER BY event_time DESC",
        t=DeltaTable(str(world.lake / "scored_transactions")),
    ).column("hash")
    rows, _ = parts.views.rows(view, parts.recent.snapshot)
    lines = "".join(export.lines(rows, view)).splitlines()[1:]
    assert sorted(line.split(",")[0] for line in lines) == sorted(found.to_pylist())
    shown = parts.views.activity(view, "dark", "UTC")
    assert len(found) == (shown.summary.flagged if view.flagged else shown.summary.transactions)
    assert len(found) > 0 and shown.snapshot.taken == now
    assert [row["hash"] for row in shown.table] == found.to_pylist()[: len(shown.table)]


@pytest.mark.parametrize("threshold", [0.45, 0.5, 0.62])
def test_the_threshold_flags_what_a_count_on_the_table_counts(
    world: World, threshold: float
) -> None:
    parts = world.desk()
    parts.recent.refresh()
    shown = parts.views.activity(Filters(range="24h", threshold=threshold), "dark", "UTC")
    counted = query(
        f"SELECT count(*) AS n FROM t WHERE anomaly_score >= {threshold}",
        t=DeltaTable(str(world.lake / "scored_transactions")),
    )
    assert shown.summary.flagged == counted.column("n")[0].as_py()


def test_a_range_beyond_the_rows_at_hand_is_read_from_delta(world: World) -> None:
    old = scored(300, datetime.now(UTC) - timedelta(days=3), 3_600, seed=9)
    write(world.lake, "scored_transactions", old)
    parts = world.desk()
    parts.recent.refresh()
    shown = parts.views.activity(Filters(range="7d"), "dark", "UTC")
    assert shown.summary.transactions == 6_300 and shown.problem is None


def test_a_range_of_too_many_rows_shows_the_newest_and_says_so(world: World) -> None:
    parts = world.desk(most_rows=1_000)
    parts.recent.refresh()
    shown = parts.views.activity(Filters(range="7d"), "dark", "UTC")
    newest = world.rows.sort_by([("event_time", "descending")]).slice(0, 250)
    assert shown.summary.transactions == 1_000
    assert shown.problem and "1,000" in shown.problem
    newest_first = parts.views.activity(Filters(range="7d", order="newest"), "dark", "UTC")
    assert [row["hash"] for row in newest_first.table] == newest.column("hash").to_pylist()


def test_all_who_look_at_one_view_share_one_answer(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    first = parts.views.activity(Filters(), "dark", "UTC")
    assert parts.views.activity(Filters(), "dark", "UTC") is first
    assert parts.views.activity(Filters(), "light", "UTC") is not first
    parts.recent.refresh()
    assert parts.views.activity(Filters(), "dark", "UTC") is not first


def test_a_range_without_rows_is_drawn_empty(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    shown = parts.views.activity(Filters(fee_rate_min=1e9), "dark", "UTC")
    assert shown.table == [] and shown.summary.transactions == 0
    assert shown.timeline["data"] and shown.fee_rates["data"]


def test_times_are_drawn_in_the_viewers_zone(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    here = parts.views.activity(Filters(), "dark", "UTC").timeline["data"][0]["x"][0]
    there = parts.views.activity(Filters(), "dark", "Asia/Kolkata").timeline["data"][0]["x"][0]
    ahead = datetime.fromisoformat(there) - datetime.fromisoformat(here)
    assert ahead == timedelta(hours=5, minutes=30)


def test_the_ten_minute_statistics_are_those_of_the_stream(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    windows = parts.views.activity(Filters(range="24h"), "dark", "UTC").windows
    assert windows is not None
    counts = windows["data"][0]["customdata"]
    assert sum(counts) == 6_000
