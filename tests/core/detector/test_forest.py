"""The flattened forest gives scikit-learn's scores, bit for bit."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline

from core.detector.forest import flatten
from core.detector.sklearn_parity import adversarial_rows
from core.features import features

Floats = NDArray[np.float64]


def sample(rows: int, columns: int = 5, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_t(2, (rows, columns))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sub_sample", [2, 3, 64, 1024])
def test_scores_are_equal_on_rows_that_lie_on_thresholds(seed: int, sub_sample: int) -> None:
    fitted = IsolationForest(n_estimators=40, max_samples=sub_sample, random_state=seed).fit(
        sample(2_000, seed=seed)
    )
    rows = adversarial_rows(fitted, 3_001, np.random.default_rng(seed))
    assert np.array_equal(flatten(fitted).scores(rows), -fitted.score_samples(rows))


def test_one_row_scores_as_it_does_among_a_thousand(pipeline: Pipeline, traffic: Floats) -> None:
    forest = flatten(pipeline[-1])
    columns = features(traffic[:1_001], pipeline[0].kw_args["tails"])
    together = forest.scores(columns)
    alone = [forest.scores(columns[i : i + 1])[0] for i in range(len(columns))]
    assert np.array_equal(together, np.array(alone))
    assert np.array_equal(together, -pipeline.score_samples(traffic[:1_001]))


def test_columns_that_never_vary_are_no_obstacle() -> None:
    rows = np.ones((300, 4))
    fitted = IsolationForest(n_estimators=10, random_state=0).fit(rows)
    assert np.array_equal(flatten(fitted).scores(rows), -fitted.score_samples(rows))


def test_a_forest_grown_from_one_row_scores_one_half() -> None:
    fitted = IsolationForest(n_estimators=3, max_samples=1, random_state=0).fit(sample(5))
    assert flatten(fitted).scores(sample(4)).tolist() == [0.5] * 4
    assert np.array_equal(flatten(fitted).scores(sample(4)), -fitted.score_samples(sample(4)))


def test_a_forest_that_draws_features_is_refused() -> None:
    fitted = IsolationForest(n_estimators=3, max_features=0.5, random_state=0).fit(sample(300))
    with pytest.raises(ValueError, match="draws features"):
        flatten(fitted)


def test_no_rows_give_no_scores(pipeline: Pipeline) -> None:
    forest = flatten(pipeline[-1])
    assert forest.scores(np.empty((0, pipeline[-1].n_features_in_))).shape == (0,)
