"""Calibration: the threshold keeps the budget, percentiles rank, JSON keeps every bit."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from core.detector.calibration import Calibration, alert_threshold, calibrate
from core.detector.champion import Champion
from core.feature_table import NAMES
from core.features import market_measures

Floats = NDArray[np.float64]
COINBASE = [200, 700, 0, 1, 2, 0, 312_500_000, 14.0]

scores = arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1))


def calibrated(rows: Floats, of: NDArray[np.float64]) -> Calibration:
    return calibrate(rows, of, budget=0.01, origin="live", trained_at="2026-11-23", facts={})


@given(scores, st.floats(1e-4, 0.1))
def test_the_threshold_never_flags_more_than_the_budget(
    sample: NDArray[np.float64], budget: float
) -> None:
    threshold = alert_threshold(sample, budget)
    assert (sample >= threshold).sum() <= budget * len(sample)


@pytest.mark.parametrize(
    ("rows", "budget", "wanted"),
    [(400, 0.01, 4), (999, 0.004, 4), (300, 0.001, 1), (1_400, 0.001, 1), (1_420, 0.001, 2)],
)
def test_a_row_not_among_those_that_set_the_threshold_is_flagged_by_the_budget(
    rows: int, budget: float, wanted: int
) -> None:
    sample = np.random.default_rng(0).permutation(np.linspace(0.3, 0.8, rows))
    flagged = [sample[i] >= alert_threshold(np.delete(sample, i), budget) for i in range(rows)]
    assert sum(flagged) == wanted


def test_traffic_of_one_value_is_not_flagged() -> None:
    assert alert_threshold(np.full(2_000, 0.5), 0.001) > 0.5


def test_the_percentile_is_the_share_that_scores_no_higher(traffic: Floats) -> None:
    sample = np.linspace(0.3, 0.8, 10_000)
    calibration = calibrated(traffic[:10_000], sample)
    points = np.array([0.1, 0.3, 0.55, 0.799, 0.8, 0.9])
    assert calibration.percentiles(points) == pytest.approx([0, 0, 0.5, 0.998, 1, 1], abs=0.0011)
    assert calibration.percentiles(sample[-1:]) == 1


def test_one_percentile_equals_many(champion: Champion) -> None:
    quantiles = champion.calibration.quantiles
    points = [0.0, 1.0, *quantiles, *(np.nextafter(q, 0) for q in quantiles)]
    many = champion.calibration.percentiles(np.array(points))
    assert [champion.calibration.percentile(each) for each in points] == many.tolist()


def test_percentiles_are_fine_where_alerts_are_decided(traffic: Floats) -> None:
    sample = np.linspace(0, 1, 50_000)
    calibration = calibrated(traffic[:50_000], sample)
    assert calibration.percentiles(np.array([0.99955]))[0] == pytest.approx(0.9995)


@given(scores, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_score_never_has_a_lower_percentile(
    sample: NDArray[np.float64], one: float, other: float
) -> None:
    rows = np.tile(np.array([[250, 1000, 5000, 2, 2, 1_000_000, 995_000, 14.0]]), (len(sample), 1))
    low, high = calibrated(rows, sample).percentiles(np.sort([one, other]))
    assert 0 <= low <= high <= 1


def test_coinbase_transactions_are_left_out(traffic: Floats) -> None:
    rows = np.concatenate([traffic[:1_000], np.tile([COINBASE], (200, 1))])
    sample = np.concatenate([np.linspace(0, 0.5, 1_000), np.ones(200)])
    with_coinbase = calibrated(rows, sample)
    assert with_coinbase == calibrated(traffic[:1_000], sample[:1_000])
    assert with_coinbase.rows == 1_000
    with pytest.raises(ValueError, match="nothing to calibrate by"):
        calibrated(rows[-200:], sample[-200:])


def test_the_usual_ranges_are_quantiles_in_multiples_of_the_market(
    champion: Champion, traffic: Floats
) -> None:
    rate = market_measures(traffic[30_000:50_000])[:, NAMES.index("fee_rate")]
    assert champion.calibration.usual["fee_rate"] == tuple(np.quantile(rate, [0.01, 0.99]))


def test_json_keeps_every_bit(champion: Champion) -> None:
    again = Calibration.from_json(champion.calibration.to_json())
    assert again == champion.calibration
    sample = np.random.default_rng(0).random(1_000)
    assert np.array_equal(again.percentiles(sample), champion.calibration.percentiles(sample))


def test_a_calibration_of_other_features_is_refused(champion: Champion) -> None:
    fields = json.loads(champion.calibration.to_json())
    fields["usual"]["colour"] = fields["usual"].pop("fee")
    with pytest.raises(ValueError, match="not those of this version's features"):
        Calibration.from_json(json.dumps(fields))
    with pytest.raises(TypeError):
        Calibration.from_json(json.dumps(fields | {"usual": champion.calibration.usual, "x": 1}))
