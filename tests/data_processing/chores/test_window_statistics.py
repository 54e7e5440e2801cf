import random
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pytest
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.raw_lake import append_rows
from tests.support.stream_samples import a_champion, a_transaction

from core.detector.champion import Champion
from core.ordinary_traffic import traffic
from core.tables import TIMESTAMP
from data_processing.chores.backlog import Backlog
from data_processing.chores.window_statistics import (
    PERCENTILES,
    WINDOW,
    WindowStatistics,
    outdated,
    ranges_of,
    statistics_of,
    update,
    window_of,
    windows_of,
)
from data_processing.lake_tables import LakeTables, create_tables
from monitoring.stream_metrics import StreamMetrics

START = datetime(2026, 1, 2, 3, 40, tzinfo=UTC)
ROWS = traffic.beside_market(5, seed=1)


def test_an_instant_on_the_border_is_in_the_later_window() -> None:
    times = pa.chunked_array([[START, START - timedelta(microseconds=1)]], TIMESTAMP)
    assert windows_of(times) == {START, START - WINDOW}


def test_percentiles_are_rates_that_so_many_rows_do_not_exceed() -> None:
    rows = pa.table({"fee": list(range(1, 101)), "weight": [4] * 100, "output_value": [10] * 100})
    row = statistics_of(START, rows, 3)
    assert [row[f"fee_rate_p{p}"] for p in PERCENTILES] == [10, 25, 50, 75, 90, 99]
    assert (row["transactions"], row["volume"], row["fees"]) == (100, 1_000, 5_050)
    assert row["anomalies"] == 3


def test_near_windows_are_read_together_and_far_ones_are_not() -> None:
    near, far = START + timedelta(minutes=40), START + timedelta(days=1)
    assert ranges_of({START, near, far}) == [
        (START, near + WINDOW),
        (far, far + WINDOW),
    ]


def test_no_more_than_a_day_is_read_at_once() -> None:
    windows = {START + number * WINDOW for number in range(3 * 144 + 1)}
    ranges = ranges_of(windows)
    assert [(end - start) // WINDOW for start, end in ranges] == [144, 144, 144, 1]
    assert all(sum(start <= each < end for start, end in ranges) == 1 for each in windows)


def test_statistics_that_were_moved_away_are_made_again_from_all_rows(lake: str) -> None:
    midnight = datetime.combine(datetime.now(UTC).date(), time.min, UTC)
    for back in range(29, 0, -1):
        append_rows(lake, ROWS, midnight - timedelta(days=back))
    create_tables(lake, "simulated", 2)
    tables = LakeTables(None, lake, "simulated")  # type: ignore[arg-type]
    assert update(tables, outdated(tables, timedelta(days=30))) == 29
    assert {row["transactions"] for row in written(tables).values()} == {len(ROWS)}
    assert outdated(tables, timedelta(days=30)) == set()


def written(tables: LakeTables) -> dict[datetime, dict[str, Any]]:
    rows = tables.query("SELECT * FROM transaction_stats", "transaction_stats").to_pylist()
    assert len({row["window_start"] for row in rows}) == len(rows)
    return {row["window_start"]: row for row in rows}


@pytest.mark.stack
def test_statistics_are_right_with_late_and_repeated_data(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion, tables: LakeTables
) -> None:
    writer.champion = champion
    at = int(kafka.now.timestamp())
    now = [a_transaction(rng, time=at) for _ in range(40)]
    late = [a_transaction(rng, time=at - 6 * 86_400) for _ in range(3)]
    update(tables, windows_of(writer.write(kafka.records(*now)).new["event_time"]))
    kafka.later(minutes=1)
    batch = writer.write(kafka.records(*now[:10], *late, a_transaction(rng, time=at + 1)))
    update(tables, windows_of(batch.new["event_time"]))

    this, then = window_of(kafka.now), window_of(kafka.now - timedelta(days=6))
    rows = written(tables)
    assert {start: row["transactions"] for start, row in rows.items()} == {this: 41, then: 3}
    assert rows[then]["fees"] == sum(t["fee"] for t in late)
    assert rows[then]["volume"] == sum(t["output_value"] for t in late)
    flagged = tables.query(
        "SELECT COUNT(*) AS n FROM scored_transactions WHERE is_anomaly", "scored_transactions"
    )
    assert sum(row["anomalies"] for row in rows.values()) == flagged["n"][0].as_py()
    assert outdated(tables, timedelta(days=30)) == set()


@pytest.mark.stack
def test_a_window_that_a_crash_left_behind_is_found_at_the_next_start(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    at = int(kafka.now.timestamp())
    writer.write(kafka.records(a_transaction(rng, time=at)))
    assert outdated(tables, timedelta(days=30)) == {window_of(kafka.now)}
    update(tables, outdated(tables, timedelta(days=30)))
    writer.write(kafka.records(a_transaction(rng, time=at)))
    assert outdated(tables, timedelta(days=30)) == {window_of(kafka.now)}
    update(tables, outdated(tables, timedelta(days=30)))
    assert outdated(tables, timedelta(days=30)) == set()


@pytest.mark.stack
def test_rows_that_are_stamped_ahead_hide_no_window_that_a_crash_left_behind(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    kafka.now = now = datetime.now(UTC).replace(microsecond=0)
    writer.write(kafka.records(a_transaction(rng, time=int(now.timestamp()))))
    kafka.later(days=400)
    writer.write(kafka.records(a_transaction(rng)))
    assert window_of(now) in outdated(tables, timedelta(days=30))


@pytest.mark.stack
def test_anomalies_found_in_the_backlog_reach_the_statistics(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables, metrics: StreamMetrics
) -> None:
    clock = timedelta()
    statistics = WindowStatistics(tables, 15, 30, metrics, lambda: clock.total_seconds())
    statistics.on_batch(writer.write(kafka.records(*(a_transaction(rng) for _ in range(30)))))
    statistics.run()
    writer.champion = a_champion(budget=0.2)
    Backlog(tables, writer.broadcast, metrics, statistics.on_scored).run()
    assert not statistics.due(), "not more often than set"
    clock += timedelta(seconds=15)
    assert statistics.due()
    statistics.run()
    (row,) = tables.query("SELECT * FROM transaction_stats", "transaction_stats").to_pylist()
    assert row["anomalies"] > 0
    assert row["transactions"] == 30
    assert outdated(tables, timedelta(days=30)) == set()
