"""The check at loading notices the smallest difference from scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from core.detector.forest import Forest, flatten
from core.detector.sklearn_parity import adversarial_rows, is_exact


@pytest.fixture(scope="module")
def forest(pipeline: Pipeline) -> Forest:
    return flatten(pipeline[-1])


def test_a_flattened_forest_is_exact(forest: Forest, pipeline: Pipeline) -> None:
    assert is_exact(forest, pipeline)


def test_thresholds_rounded_up_are_noticed(forest: Forest, pipeline: Pipeline) -> None:
    up = forest.nodes.copy()
    up["threshold"] = np.nextafter(up["threshold"], np.float32(np.inf))
    assert not is_exact(replace(forest, nodes=up), pipeline)


def test_one_path_length_off_by_one_bit_is_noticed(forest: Forest, pipeline: Pipeline) -> None:
    path = forest.path.copy()
    path[np.argmax(forest.rows * (path > 0))] *= 1 + 1e-15
    path = np.nextafter(path, np.inf)
    assert not is_exact(replace(forest, path=path), pipeline)


def test_a_step_that_the_flattened_forest_lacks_is_noticed(
    forest: Forest, pipeline: Pipeline
) -> None:
    between = ("turned", FunctionTransformer(np.negative))
    assert not is_exact(forest, Pipeline([pipeline.steps[0], between, pipeline.steps[1]]))


def test_adversarial_rows_lie_on_thresholds_and_on_both_sides(pipeline: Pipeline) -> None:
    rows = adversarial_rows(pipeline[-1], 500, np.random.default_rng(1))
    trees = [estimator.tree_ for estimator in pipeline[-1].estimators_]
    thresholds = np.unique(np.concatenate([tree.threshold for tree in trees]))
    on = np.isin(rows, thresholds).mean()
    beside = np.isin(rows.astype(np.float32), thresholds.astype(np.float32)).mean()
    assert on > 0.1
    assert beside > on
