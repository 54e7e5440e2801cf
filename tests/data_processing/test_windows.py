import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from tests.data_processing.conftest import Kafka, Stream
from tests.data_processing.samples import a_transaction

from core.detector.champion import Champion
from core.tables import TIMESTAMP
from data_processing import windows
from data_processing.sinks import Sinks

START = datetime(2026, 1, 2, 3, 40, tzinfo=UTC)


def test_an_instant_on_the_border_is_in_the_later_window() -> None:
    times = pa.chunked_array([[START, START - timedelta(microseconds=1)]], TIMESTAMP)
    assert windows.windows_of(times) == {START, START - windows.WINDOW}


def test_percentiles_are_rates_that_so_many_rows_do_not_exceed() -> None:
    rows = pa.table({"fee": list(range(1, 101)), "weight": [4] * 100, "output_value": [10] * 100})
    row = windows.statistics_of(START, rows, 3)
    assert [row[f"fee_rate_p{p}"] for p in windows.PERCENTILES] == [10, 25, 50, 75, 90, 99]
    assert (row["transactions"], row["volume"], row["fees"]) == (100, 1_000, 5_050)
    assert row["anomalies"] == 3


def test_near_windows_are_read_together_and_far_ones_are_not() -> None:
    near, far = START + timedelta(minutes=40), START + timedelta(days=1)
    assert windows.ranges_of({START, near, far}) == [
        (START, near + windows.WINDOW),
        (far, far + windows.WINDOW),
    ]


def told(sinks: Sinks) -> dict[datetime, dict[str, Any]]:
    rows = sinks.ask("SELECT * FROM transaction_stats", "transaction_stats").to_pylist()
    assert len({row["window_start"] for row in rows}) == len(rows)
    return {row["window_start"]: row for row in rows}


@pytest.mark.stack
def test_statistics_are_right_with_late_and_repeated_data(
    stream: Stream, kafka: Kafka, rng: random.Random, champion: Champion, sinks: Sinks
) -> None:
    stream.champion = champion
    at = int(kafka.now.timestamp())
    now = [a_transaction(rng, time=at) for _ in range(40)]
    late = [a_transaction(rng, time=at - 6 * 86_400) for _ in range(3)]
    windows.update(sinks, windows.windows_of(stream.take(kafka.records(*now)).new["event_time"]))
    kafka.later(minutes=1)
    taken = stream.take(kafka.records(*now[:10], *late, a_transaction(rng, time=at + 1)))
    windows.update(sinks, windows.windows_of(taken.new["event_time"]))

    this, then = windows.window_of(kafka.now), windows.window_of(kafka.now - timedelta(days=6))
    rows = told(sinks)
    assert {start: row["transactions"] for start, row in rows.items()} == {this: 41, then: 3}
    assert rows[then]["fees"] == sum(t["fee"] for t in late)
    assert rows[then]["volume"] == sum(t["output_value"] for t in late)
    flagged = sinks.ask(
        "SELECT COUNT(*) AS n FROM scored_transactions WHERE is_anomaly", "scored_transactions"
    )
    assert sum(row["anomalies"] for row in rows.values()) == flagged["n"][0].as_py()
    assert windows.outdated(sinks, timedelta(days=30)) == set()


@pytest.mark.stack
def test_a_window_that_a_crash_left_behind_is_found_at_the_next_start(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks
) -> None:
    at = int(kafka.now.timestamp())
    stream.take(kafka.records(a_transaction(rng, time=at)))
    assert windows.outdated(sinks, timedelta(days=30)) == {windows.window_of(kafka.now)}
    windows.update(sinks, windows.outdated(sinks, timedelta(days=30)))
    stream.take(kafka.records(a_transaction(rng, time=at)))
    assert windows.outdated(sinks, timedelta(days=30)) == {windows.window_of(kafka.now)}
    windows.update(sinks, windows.outdated(sinks, timedelta(days=30)))
    assert windows.outdated(sinks, timedelta(days=30)) == set()
