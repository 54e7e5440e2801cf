import math

import numpy as np
import pytest

from core.detector.champion import Champion
from core.feature_table import NAMES
from data_ingestion.simulation import traffic
from model.challenger import Recipe, TrainingData, train_challenger
from model.drift import SCORE, drift_indexes, drift_reference, stability_index
from model.pipeline import ForestShape
from model.sampling import Sample


@pytest.fixture(scope="module")
def champion() -> Champion:
    rows = traffic.numbers(6_000, seed=1)
    recipe = Recipe(ForestShape(trees=20), 50_000, 0.001, "simulated")
    sample = Sample(rows, rows[:500], "", 0, len(rows))
    return train_challenger(TrainingData.prepare(sample, recipe), 0.0).model


def test_the_index_is_that_of_its_definition() -> None:
    then = {"edges": [0.0], "shares": [0.5, 0.5]}
    now = np.array([-1.0] * 20 + [1.0] * 80)
    expected = (0.2 - 0.5) * math.log(0.2 / 0.5) + (0.8 - 0.5) * math.log(0.8 / 0.5)
    assert stability_index(then, now) == pytest.approx(expected)
    assert stability_index(then, np.array([-1.0, 1.0])) == 0


def test_the_same_traffic_has_not_drifted(champion: Champion) -> None:
    indexes = drift_indexes(champion, traffic.numbers(4_000, seed=2))
    assert set(indexes) == {*NAMES, SCORE}
    assert max(indexes.values()) < 0.1


def test_fees_that_rise_fourfold_show_in_the_features_of_fees(champion: Champion) -> None:
    rows = traffic.numbers(4_000, seed=2)
    rows[:, 2] *= 4
    rows[:, 5] = rows[:, 6] + rows[:, 2]
    indexes = drift_indexes(champion, rows)
    assert indexes["fee_rate"] > 0.25
    assert indexes["outputs_count"] < 0.1


def test_a_column_of_one_value_has_a_reference() -> None:
    rows = np.tile(traffic.numbers(1, seed=1), (2_000, 1))
    reference = drift_reference(rows, np.full(2_000, 0.5))
    assert all(math.isclose(sum(bins["shares"]), 1, abs_tol=0.01) for bins in reference.values())
