"""The going fee rate: what others paid before, and what nobody can push."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.market import (
    LEAST_ROWS,
    MINUTE,
    MOST_ROWS,
    OWN_ROWS,
    Market,
    fee_rates_at,
    markets_of,
    minute_of,
)

START = 1_790_000_040 * 1_000_000
"""The beginning of a minute."""
SECOND = 1_000_000


def at_pace(rates: list[float] | NDArray[np.float64], a_second: float = 7) -> NDArray[np.int64]:
    """The times of so many transactions from `START` on."""
    times: NDArray[np.int64] = START + (np.arange(len(rates)) * SECOND / a_second).astype(np.int64)
    return times


def market(rates: list[float] | NDArray[np.float64], minute: int, a_second: float = 7) -> Market:
    (found,) = markets_of(at_pace(rates, a_second), np.asarray(rates), [START + minute * MINUTE])
    return found


def test_a_market_is_the_median_of_what_came_before_its_minute() -> None:
    found = market([5.0] * 420 + [50.0] * 420, 1)
    assert found[1:] == (5.0, 5.0, 5.0, 420)
    assert found.minute.timestamp() * SECOND == START + MINUTE
    assert found.minute.tzinfo is not None


def test_ten_transactions_have_a_market() -> None:
    found = market([float(rate) for rate in range(1, 11)], 1)
    assert (found.fee_rate, found.rows) == (5.5, 10)
    assert (found.low, found.high) == pytest.approx((1.9, 9.1))


def test_the_first_minute_of_all_is_measured_by_itself() -> None:
    assert market([4.0] * 60, 0).fee_rate == 4.0
    assert markets_of(at_pace([4.0]), np.array([4.0]), [START - 5 * MINUTE]) == []


def test_after_an_hours_silence_the_last_transactions_before_it_count() -> None:
    found = market([3.0] * 420 + [8.0] * 150, 70)
    assert (found.fee_rate, found.rows) == (8.0, LEAST_ROWS)


@pytest.mark.parametrize(("own", "rate"), [(OWN_ROWS - 1, 16.0), (OWN_ROWS, 2.0), (3_000, 2.0)])
def test_after_a_silence_a_minute_is_measured_by_its_own_transactions(
    own: int, rate: float
) -> None:
    before, minute = at_pace([16.0] * 2_000), START + 70 * MINUTE
    times = np.concatenate([before, minute + np.arange(own)])
    (found,) = markets_of(times, np.repeat([16.0, 2.0], [2_000, own]), [minute])
    assert found.fee_rate == rate


def test_a_burst_in_traffic_that_never_ceased_does_not_measure_itself() -> None:
    before, minute = at_pace([16.0] * 420), START + MINUTE
    times = np.concatenate([before, minute + np.arange(3_000)])
    (found,) = markets_of(times, np.repeat([16.0, 2.0], [420, 3_000]), [minute])
    assert found.fee_rate == 16.0


@pytest.mark.parametrize(("a_second", "rows"), [(1.0, 300), (7.0, MOST_ROWS), (50.0, MOST_ROWS)])
def test_a_market_is_of_five_minutes_or_a_thousand_transactions(a_second: float, rows: int) -> None:
    assert market([2.0] * round(600 * a_second), 10, a_second).rows == rows


def test_a_fourfold_step_is_followed_within_three_minutes_at_mainnets_rate() -> None:
    rng = np.random.default_rng(0)
    rates = 15 * np.exp(rng.normal(0, 0.5, 7 * 1_200))
    rates[7 * 600 :] *= 4  # after ten minutes
    before, after = market(rates, 10).fee_rate, market(rates, 13).fee_rate
    assert after / before == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize(("share", "most"), [(0.01, 1.03), (0.2, 1.4)])
def test_a_flood_that_pays_anything_hardly_moves_it(share: float, most: float) -> None:
    rng = np.random.default_rng(1)
    rates = 15 * np.exp(rng.normal(0, 0.7, 2_000))
    flooded = np.where(rng.random(2_000) < share, 1e6, rates)
    assert 1 <= market(flooded, 4).fee_rate / market(rates, 4).fee_rate < most
    flooded[flooded == 1e6] = 0.0
    assert 1 / most < market(flooded, 4).fee_rate / market(rates, 4).fee_rate <= 1


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=80), st.integers(0, 20))
def test_it_lies_within_its_range_and_what_comes_later_changes_nothing(
    rates: list[float], minute: int
) -> None:
    times = at_pace(rates, 0.1)
    found = market(rates, minute, 0.1)
    assert min(rates) <= found.low <= found.fee_rate <= found.high <= max(rates)
    before = times < START + minute * MINUTE
    if before.any():
        again = markets_of(times[before], np.array(rates)[before], [START + minute * MINUTE])
        assert again == [found]


def test_a_time_has_the_rate_of_its_minute_or_of_the_newest_before() -> None:
    minutes = np.array([START, START + MINUTE, START + 5 * MINUTE])
    rates = np.array([1.0, 2.0, 3.0])
    times = START + np.array([-9, 0, MINUTE - 1, MINUTE, 4 * MINUTE, 5 * MINUTE, 99 * MINUTE])
    assert fee_rates_at(times, minutes, rates).tolist() == [1, 1, 1, 2, 2, 3, 3]
    assert minute_of(times[:2]).tolist() == [START - MINUTE, START]
