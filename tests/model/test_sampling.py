from datetime import timedelta

import numpy as np
import pytest
from tests.support.raw_lake import START, Integers, append_rows

from data_ingestion.simulation import traffic
from model import sampling
from model.sampling import SamplingPlan, count_rows, draw_sample, newest_rows

PLAN = SamplingPlan(rows=600, newest_rows=100)


def numbered_rows(first: int, rows: int) -> Integers:
    """Rows whose output value is their number."""
    numbers = np.full((rows, 7), 500, np.int64)
    numbers[:, 6] = np.arange(first, first + rows)
    return numbers


def row_numbers(rows: Integers) -> set[int]:
    return set(rows[:, 6].tolist())


def test_the_same_version_plan_and_seed_draw_the_same_rows(lake: str) -> None:
    table = append_rows(lake, traffic.numbers(3_000, seed=1))
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
    assert {4_000, 3_999} <= row_numbers(newest_rows(table, 500))


def test_recent_days_weigh_more_and_old_ones_are_left_out(lake: str) -> None:
    for day in range(5):
        append_rows(
            lake, numbered_rows(1_000 * day, 1_000), START + timedelta(days=day), 1_000 * day
        )
    plan = SamplingPlan(rows=900, newest_rows=10, days=4, half_life_days=1)
    sample = draw_sample(
        append_rows(lake, numbered_rows(9_000, 1), START + timedelta(days=4), 9_000), plan, 1
    )
    days = np.bincount(sample.drawn[:, 6] // 1_000, minlength=5)
    assert days[0] == 0
    assert days[4] > 1.5 * days[3] > 2 * days[2] > 0


def test_coinbase_transactions_are_left_out(lake: str) -> None:
    rows = traffic.numbers(1_000, seed=1)
    rows[::10, [2, 3, 5]] = [0, 1, 0]
    sample = draw_sample(append_rows(lake, rows), SamplingPlan(rows=5_000, newest_rows=100), 1)
    assert (sample.drawn[:, 5] > 0).all()
    assert (sample.newest[:, 5] > 0).all()
    assert 780 <= len(sample.drawn) < 830


def test_a_large_table_is_not_read_as_a_whole(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in range(20):
        table = append_rows(lake, numbered_rows(1_000 * part, 1_000), offset=1_000 * part)
    assert count_rows(table) == 20_000
    monkeypatch.setattr(sampling, "READ_ROWS", 5_000)
    sample = draw_sample(table, SamplingPlan(rows=1_000, newest_rows=100), 1)
    assert sample.table_rows == 20_000
    assert len(set((sample.drawn[:, 6] // 1_000).tolist())) <= 6
    assert 900 <= len(sample.drawn) <= 1_000
