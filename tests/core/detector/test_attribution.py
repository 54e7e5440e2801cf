"""Attribution: the parts add up, name the culprit and never vary."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline

from core.detector.attribution import attribution
from core.detector.champion import Champion, score_row
from core.detector.forest import flatten
from core.feature_table import NAMES
from core.features import features, measures
from core.transaction import NUMERIC_FIELDS

Floats = NDArray[np.float64]


def test_the_parts_add_up_to_the_path_length(pipeline: Pipeline, traffic: Floats) -> None:
    forest = flatten(pipeline[-1])
    attributed = attribution(forest)
    columns = features(traffic[:2_000], pipeline[0].kw_args["tails"])
    mean_path = forest.path_lengths(columns) / len(forest.roots)
    assert np.allclose(
        attributed.expected - attributed.shortenings(columns).sum(axis=1), mean_path, atol=1e-12
    )


def test_one_row_at_once_equals_many_rows_to_the_bit(champion: Champion, traffic: Floats) -> None:
    rows = traffic[:1_000]
    depths = champion.attribution.forest.path_lengths(features(rows, champion.tails))
    measured, parts = measures(rows).tolist(), champion.shortenings(rows).tolist()
    for i, row in enumerate(rows.tolist()):
        result = score_row(champion.attribution, champion.tails, [float(value) for value in row])
        assert result == (depths[i], measured[i], parts[i])


def test_the_expectation_is_the_mean_path_of_the_training_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 3))
    fitted = IsolationForest(n_estimators=20, max_samples=500, random_state=0).fit(rows)
    forest = flatten(fitted)
    assert np.isclose(attribution(forest).expected, forest.path_lengths(rows).mean() / 20)


def test_what_never_splits_has_no_part() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 3))
    rows[:, 1] = 7.0
    fitted = IsolationForest(n_estimators=20, random_state=0).fit(rows)
    parts = attribution(flatten(fitted)).shortenings(rows)
    assert (parts[:, 1] == 0).all()
    assert (parts[:, 0] != 0).all()


def test_the_measures_parts_have_the_same_sum(champion: Champion, traffic: Floats) -> None:
    columns = features(traffic[:500], champion.tails)
    whole = champion.attribution.shortenings(columns).sum(axis=1)
    assert np.allclose(champion.shortenings(traffic[:500]).sum(axis=1), whole, atol=1e-12)


@pytest.mark.parametrize(
    ("number", "value", "measures"),
    [
        ("fee", 1_000_000_000, {"fee", "fee_rate", "fee_share"}),
        ("inputs_count", 50_000, {"inputs_count", "value_per_input", "bulk"}),
        ("outputs_count", 50_000, {"outputs_count", "value_per_output", "bulk"}),
        ("weight", 3_900_000, {"weight", "bulk", "fee_rate"}),
    ],
)
def test_a_measure_made_of_the_wild_number_comes_first(
    number: str, value: int, measures: set[str], champion: Champion, traffic: Floats
) -> None:
    rows = traffic[:500].copy()
    rows[:, NUMERIC_FIELDS.index(number)] = value
    first = [NAMES[i] for i in champion.shortenings(rows).argmax(axis=1)]
    assert np.mean([name in measures for name in first]) > 0.99


def test_a_row_has_the_same_parts_alone_and_again(champion: Champion, traffic: Floats) -> None:
    together = champion.shortenings(traffic[:130])
    alone = np.concatenate([champion.shortenings(traffic[i : i + 1]) for i in range(130)])
    assert np.array_equal(together, alone)
    assert np.array_equal(together, champion.shortenings(traffic[:130]))
