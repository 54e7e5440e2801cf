import math

import numpy as np
import pytest

from core.detector.calibration import calibrate
from core.detector.champion import Champion
from core.feature_table import NAMES
from data_ingestion.simulation import traffic
from model.drift import SCORE, drift, reference, stability_index
from model.pipeline import ForestShape, fit


@pytest.fixture(scope="module")
def champion() -> Champion:
    rows = traffic.numbers(6_000, seed=1)
    pipeline = fit(rows, ForestShape(trees=20))
    scores = -pipeline.score_samples(rows)
    calibration = calibrate(
        rows,
        scores,
        budget=0.001,
        origin="simulated",
        trained_at="2026-11-20T12:00:00+00:00",
        facts={"drift": reference(rows, scores)},
    )
    return Champion.from_pipeline(pipeline, calibration, "1")


def test_the_index_is_the_one_of_the_books() -> None:
    then = {"edges": [0.0], "shares": [0.5, 0.5]}
    now = np.array([-1.0] * 20 + [1.0] * 80)
    expected = (0.2 - 0.5) * math.log(0.2 / 0.5) + (0.8 - 0.5) * math.log(0.8 / 0.5)
    assert stability_index(then, now) == pytest.approx(expected)
    assert stability_index(then, np.array([-1.0, 1.0])) == 0


def test_the_same_traffic_has_not_drifted(champion: Champion) -> None:
    found = drift(champion, traffic.numbers(4_000, seed=2))
    assert set(found) == {*NAMES, SCORE}
    assert max(found.values()) < 0.1


def test_fees_that_rise_fourfold_are_seen_in_the_features_of_fees(champion: Champion) -> None:
    rows = traffic.numbers(4_000, seed=2)
    rows[:, 2] *= 4
    rows[:, 5] = rows[:, 6] + rows[:, 2]
    found = drift(champion, rows)
    assert found["fee_rate"] > 0.25
    assert found["outputs_count"] < 0.1


def test_a_column_of_one_value_is_no_obstacle() -> None:
    rows = np.tile(traffic.numbers(1, seed=1), (2_000, 1))
    found = reference(rows, np.full(2_000, 0.5))
    assert all(math.isclose(sum(bins["shares"]), 1, abs_tol=0.01) for bins in found.values())
