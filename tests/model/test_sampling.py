from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from numpy.typing import NDArray
from tests.support.raw_lake import START, append_rows

from core.features import MARKET, Floats
from core.lake import table_uri
from core.ordinary_traffic import traffic
from core.tables import MARKET as MARKET_TABLE
from model import sampling
from model.sampling import Sample, SamplingPlan, count_rows, draw_sample, newest_day, newest_rows

PLAN = SamplingPlan(rows=600, newest_rows=100)


def numbered_rows(first: int, rows: int) -> NDArray[np.int64]:
    """Rows whose output value is their number."""
    numbers = np.full((rows, 7), 500, np.int64)
    numbers[:, 6] = np.arange(first, first + rows)
    return numbers


def row_numbers(rows: Floats) -> set[int]:
    return set(rows[:, 6].tolist())


def test_the_same_version_plan_and_seed_draw_the_same_rows(lake: str) -> None:
    table = append_rows(lake, traffic.beside_market(3_000, seed=1))
    first, second, other = (draw_sample(table, PLAN, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.drawn, second.drawn)
    np.testing.assert_array_equal(first.newest, second.newest)
    assert not np.array_equal(first.drawn, other.drawn)


def test_held_out_rows_are_not_drawn(lake: str) -> None:
    sample = draw_sample(
        append_rows(lake, numbered_rows(0, 2_000)), SamplingPlan(rows=5_000, newest_rows=5_000), 1
    )
    assert len(sample.newest) == 500
    assert len(sample.drawn) == 1_500
    assert not row_numbers(sample.newest) & row_numbers(sample.drawn)


def test_the_newest_rows_are_held_out_of_the_latest_files(lake: str) -> None:
    for day in range(4):
        append_rows(
            lake, numbered_rows(1_000 * day, 1_000), START + timedelta(days=day), 1_000 * day
        )
    table = append_rows(lake, numbered_rows(4_000, 10), START + timedelta(days=4), 4_000)
    sample = draw_sample(table, SamplingPlan(rows=100, newest_rows=50), 1)
    assert min(row_numbers(sample.newest)) >= 3_000


def test_of_a_day_that_is_one_file_the_last_rows_are_held_out(lake: str) -> None:
    append_rows(lake, numbered_rows(0, 5_000))
    table = append_rows(lake, numbered_rows(5_000, 10), START + timedelta(days=1), 5_000)
    sample = draw_sample(table, SamplingPlan(rows=100, newest_rows=50), 1)
    assert min(row_numbers(sample.newest)) >= 5_010 - 100


def test_recent_days_weigh_more_and_old_ones_are_left_out(lake: str) -> None:
    for day in range(5):
        append_rows(
            lake, numbered_rows(1_000 * day, 1_000), START + timedelta(days=day), 1_000 * day
        )
    plan = SamplingPlan(rows=900, newest_rows=10, days=4, half_life_days=1)
    sample = draw_sample(
        append_rows(lake, numbered_rows(9_000, 1), START + timedelta(days=4), 9_000), plan, 1
    )
    days = np.bincount(sample.drawn[:, 6].astype(int) // 1_000, minlength=5)
    assert days[0] == 0
    assert days[4] > 1.5 * days[3] > 2 * days[2] > 0


def test_days_that_weigh_nothing_beside_the_newest_are_left_out(lake: str) -> None:
    for day in range(4):
        table = append_rows(lake, numbered_rows(100 * day, 100), START + timedelta(days=day))
    plan = SamplingPlan(rows=100, newest_rows=20, half_life_days=0.001)
    drawn = row_numbers(draw_sample(table, plan, 1).drawn)
    assert drawn and min(drawn) >= 300


def test_a_clock_that_was_ahead_for_once_leaves_the_other_days_in_the_sample(lake: str) -> None:
    append_rows(lake, numbered_rows(0, 1_000), START)
    table = append_rows(lake, numbered_rows(1_000, 1), START + timedelta(days=400), 1_000)
    plan = SamplingPlan(rows=500, newest_rows=10, days=4, half_life_days=1)
    assert len(draw_sample(table, plan, 1).drawn) > 400


def test_coinbase_transactions_are_left_out(lake: str) -> None:
    rows = traffic.beside_market(1_000, seed=1)
    rows[::10, [2, 3, 5]] = [0, 1, 0]
    sample = draw_sample(append_rows(lake, rows), SamplingPlan(rows=5_000, newest_rows=100), 1)
    assert (sample.drawn[:, 5] > 0).all()
    assert (sample.newest[:, 5] > 0).all()
    assert 780 <= len(sample.drawn) < 830


def test_the_newest_day_is_drawn_evenly_from_its_hours(lake: str) -> None:
    for hour in range(40):
        start = START + timedelta(hours=hour)
        table = append_rows(lake, numbered_rows(100 * hour, 100), start, 100 * hour)
    day = newest_day(table, 480)
    hours = np.bincount(day.rows[:, 6].astype(int) // 100, minlength=40)
    assert hours[:16].sum() == 0
    assert set(hours[16:]) <= {16, 17, 20}
    assert day.covered_seconds == pytest.approx(23 * 3_600, abs=60)
    assert len(newest_day(table, 100_000).rows) == 2_400


def test_the_newest_day_of_much_traffic_is_not_read_as_a_whole(
    lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(20):
        start = START + timedelta(hours=hour / 2)
        table = append_rows(lake, numbered_rows(100 * hour, 100), start, 100 * hour)
    monkeypatch.setattr(sampling, "READ_ROWS", 600)
    day = newest_day(table, 10_000)
    assert len(set((day.rows[:, 6] // 100).tolist())) == 5


def test_the_newest_day_of_an_empty_table_has_no_rows(lake: str) -> None:
    day = newest_day(append_rows(lake, numbered_rows(0, 0)), 100)
    assert day.rows.shape == (0, 8)
    assert day.covered_seconds == 0


def test_a_sample_is_written_with_what_it_covers_and_older_files_are_read(
    lake: str, tmp_path: Path
) -> None:
    sample = draw_sample(append_rows(lake, numbered_rows(0, 2_000)), PLAN, 1)
    assert sample.covered_seconds == pytest.approx(2_000 / 7, abs=5)
    file = tmp_path / "sample.parquet"
    sample.write(file)
    assert Sample.read(file).covered_seconds == sample.covered_seconds
    table = pq.read_table(file)
    facts = {k: v for k, v in table.schema.metadata.items() if k != b"covered_seconds"}
    pq.write_table(table.replace_schema_metadata(facts), file)
    assert Sample.read(file).covered_seconds == 0
    np.testing.assert_array_equal(Sample.read(file).drawn, sample.drawn)


def test_a_large_table_is_not_read_as_a_whole(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in range(20):
        table = append_rows(lake, numbered_rows(1_000 * part, 1_000), offset=1_000 * part)
    assert count_rows(table) == 20_000
    monkeypatch.setattr(sampling, "READ_ROWS", 5_000)
    sample = draw_sample(table, SamplingPlan(rows=1_000, newest_rows=100), 1)
    assert sample.table_rows == 20_000
    assert len(set((sample.drawn[:, 6] // 1_000).tolist())) <= 6
    assert 900 <= len(sample.drawn) <= 1_000


def test_a_row_is_measured_beside_the_market_of_its_minute(lake: str) -> None:
    minutes = [START + timedelta(minutes=minute) for minute in range(3)]
    columns = {
        "minute": minutes,
        "fee_rate": [10.0, 20.0, 40.0],
        "low": [5.0] * 3,
        "high": [50.0] * 3,
        "rows": [100] * 3,
        "date": [minute.date() for minute in minutes],
    }
    write_deltalake(table_uri(lake, "market"), pa.table(columns, MARKET_TABLE))
    table = append_rows(lake, numbered_rows(0, 1_260), START)  # three minutes of seven a second
    rows = newest_rows(table, 5_000)
    assert len(rows) == 1_260
    by_minute = [set(rows[minute * 420 : (minute + 1) * 420, MARKET]) for minute in range(3)]
    assert by_minute == [{10.0}, {20.0}, {40.0}]
    assert set(newest_rows(table, 100)[:, MARKET]) == {40.0}


def test_rows_from_before_the_table_of_markets_are_measured_beside_each_other(lake: str) -> None:
    cheap, dear = numbered_rows(0, 2_100), numbered_rows(2_100, 2_100)
    cheap[:, 1], dear[:, 1] = 2_000, 2_000  # weight: fees of 1 and of 4 sat/vB
    dear[:, 2] *= 4
    table = append_rows(lake, np.concatenate([cheap, dear]))
    rows = newest_rows(table, 5_000)
    assert set(rows[:2_100, MARKET]) == {1.0}
    assert rows[-1, MARKET] == 4.0
