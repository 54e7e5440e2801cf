"""Paths of the fee level: within the figures of recorded blocks, and repeatable."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.ordinary_traffic.market_paths import (
    BLOCK_SECONDS,
    DAY,
    JULY_2025,
    JUNE_2024,
    LEAST,
    MOST,
    PATHS,
    QUANTILES,
    SPIKE_FACTOR,
    SPIKE_SECONDS,
    SPIKE_SHARE,
    Era,
    day_cycle,
    from_rate,
    level,
)

Floats = NDArray[np.float64]

MIDNIGHT = 20_000 * DAY
"""A Thursday's, as 1970 began with one."""


def every(seconds: int, times: int) -> Floats:
    return (MIDNIGHT + seconds * np.arange(times)).astype(np.float64)


def rates(path: str, times: Floats, seed: int = 1, start: float = MIDNIGHT) -> Floats:
    """Median fee rates in sat/vB."""
    paid: Floats = level(path, times, seed, start) / from_rate(1.0)
    return paid


def test_the_day_has_its_peak_in_the_afternoon_and_its_trough_at_night() -> None:
    hours = day_cycle(every(3_600, 24))
    assert hours.argmax() == 15
    assert hours.argmin() == 3
    assert abs(hours.mean() - 1) < 1e-9


def test_a_spike_multiplies_the_fee_level_of_its_quarter_hour() -> None:
    times = every(SPIKE_SECONDS, 4_000)
    spikes = level("steady", times, 1, 0.0) / day_cycle(times)
    raised = spikes[spikes > 1]
    assert abs(len(raised) / len(times) - SPIKE_SHARE) < 0.02
    assert raised.min() >= SPIKE_FACTOR[0]
    assert raised.max() <= SPIKE_FACTOR[1]


@pytest.mark.parametrize("path", PATHS)
def test_a_time_has_its_level_whichever_other_times_are_passed(path: str) -> None:
    times = every(977, 200)
    one_by_one = [level(path, times[n : n + 1], 4, MIDNIGHT)[0] for n in range(200)]
    assert level(path, times, 4, MIDNIGHT).tolist() == one_by_one
    assert level(path, times[::-1], 4, MIDNIGHT).tolist() == one_by_one[::-1]


@pytest.mark.parametrize("path", ["steady", "day"])
def test_another_seed_is_another_market(path: str) -> None:
    times = every(600, 200)
    assert (level(path, times, 1, 0.0) != level(path, times, 2, 0.0)).any()


def test_no_such_path_is_an_error() -> None:
    with pytest.raises(KeyError):
        level("none", every(1, 1), 1, 0.0)


def test_the_step_is_fourfold_at_once_and_stays() -> None:
    assert level("step", every(300, 6), 1, MIDNIGHT).tolist() == [1, 1, 1, 4, 4, 4]


def test_the_ramp_grows_by_the_same_factor_in_the_same_time() -> None:
    levels = level("ramp", every(300, 10), 1, MIDNIGHT)
    assert np.allclose(levels, [1, 1, 1, 1, 2**0.5, 2, 8**0.5, 4, 4, 4])


def test_the_rush_of_a_halving_takes_an_hour_and_ends() -> None:
    paid = rates("halving", every(900, 30))
    assert np.allclose(paid[[0, 1, 5, 17, 29]], [10, 10, 1_500, 10, 10])
    assert (np.diff(paid[1:6]) > 0).all()
    assert (np.diff(paid[5:18]) < 0).all()


def test_it_is_always_the_usual_level_without_a_market() -> None:
    assert set(level("off", every(3_600, 100), 1, MIDNIGHT)) == {1.0}


def block_rates(seed: int) -> tuple[Floats, Floats]:
    """Four weeks of `day`, a value for each block: the times, and the fee rates without cycle."""
    times = every(30, 28 * DAY // 30)
    paid = rates("day", times, seed) / day_cycle(times)
    # A block moves the level by more than the way from noon to noon does in half a minute.
    first = np.flatnonzero(np.abs(np.diff(np.log(paid), prepend=0)) > 2e-3)
    return times[first], paid[first]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_days_stay_within_recorded_levels_and_reach_both_ends(seed: int) -> None:
    paid = rates("day", every(60, 28 * 1_440), seed)
    assert paid.min() >= LEAST - 1e-9
    assert paid.max() <= MOST + 1e-9
    assert np.quantile(paid, 0.05) < 0.7
    assert np.quantile(paid, 0.99) > JUNE_2024.medians[5]


def test_weekends_are_quiet() -> None:
    times = every(60, 28 * 1_440)
    paid, weekend = rates("day", times), (times // DAY - 2) % 7 < 2
    assert weekend.sum() == 8 * 1_440
    assert np.median(paid[weekend]) < 1.1 < 5 < np.median(paid[~weekend])


def test_a_block_comes_in_each_ten_minutes_on_the_mean() -> None:
    times, _ = block_rates(1)
    gaps = np.diff(times)
    assert abs(gaps.mean() / BLOCK_SECONDS - 1) < 0.15
    assert gaps.min() < 120
    assert gaps.max() > 1_000


@pytest.mark.parametrize(("era", "low", "high"), [(JUNE_2024, 15, 200), (JULY_2025, 0.6, 2)])
def test_the_steps_between_blocks_are_those_of_recorded_ones(
    era: Era, low: float, high: float
) -> None:
    steps: list[float] = []
    for seed in range(4):
        _, paid = block_rates(seed)
        within = (paid[:-1] > low) & (paid[:-1] < high)
        steps += np.abs(np.diff(np.log(paid)))[within].tolist()
    drawn = np.exp(np.quantile(steps, (0.5, 0.75, 0.9)))
    assert np.abs(np.log(drawn / era.steps[3:6])).max() < np.log(1.5), (drawn, era.steps)


def test_the_figures_are_those_of_the_recorded_blocks(sample: Path) -> None:
    with (sample / "block_feerate_stats.csv").open() as lines:
        blocks = sorted(csv.DictReader(lines), key=lambda row: int(row["block_height"]))
    rows = [
        (int(row["block_height"]), float(row["feerate_median_sat_vb"]))
        for row in blocks
        if int(row["tx_count"]) >= 100
    ]
    for era, which in ((JUNE_2024, slice(84)), (JULY_2025, slice(84, None))):
        heights, medians = np.array(rows[which]).T
        pairs = np.diff(heights) == 1
        logs = np.log(medians) - np.log(medians).mean()
        before, after = logs[:-1][pairs], logs[1:][pairs]
        steps = np.exp(np.quantile(np.abs(after - before), QUANTILES))
        assert np.allclose(np.quantile(medians, QUANTILES), era.medians, atol=0.006)
        assert np.allclose(steps, era.steps, atol=6e-4)
        assert abs(np.corrcoef(before, after)[0, 1] - era.memory) < 0.01
    every_median = [float(row["feerate_median_sat_vb"]) for row in blocks]
    assert (min(every_median), round(max(every_median))) == (LEAST, MOST)
