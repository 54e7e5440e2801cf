"""The check that a flattened forest scores as scikit-learn does, to the bit.

Its rows lie on the forest's own thresholds, and on their float32 neighbours on both sides, so that
any difference in comparing or rounding shows. Then random transactions go through the whole
pipeline, one at a time and together.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detector.forest import Forest
from core.features import MARKET, features
from core.transaction import DETECTOR_FIELDS

_ROWS, _TRANSACTIONS = 1_000, 8


def adversarial_rows(isolation_forest: Any, rows: int, rng: np.random.Generator) -> NDArray[Any]:
    """Rows of features, each value on a threshold of the forest or next to one; shape (rows, k)."""
    k = isolation_forest.n_features_in_
    trees = [estimator.tree_ for estimator in isolation_forest.estimators_]
    feature = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    out = rng.normal(size=(rows, k))
    for column in range(k):
        own = threshold[feature == column]
        if len(own):
            out[:, column] = rng.choice(own, rows)
    return _move_off(out, rng)


def _move_off(rows: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Each value unchanged, or moved to a float32 neighbour below or above it, or far away."""
    near = rows.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf))
    above = np.nextafter(near, np.float32(np.inf))
    choices = np.stack([rows, near, below, above, rows * 1e6, rows * 1e-6])
    which = rng.integers(0, len(choices), rows.shape)
    moved: NDArray[np.float64] = np.take_along_axis(choices, which[None], axis=0)[0]
    return moved


def random_transactions(rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Whole numbers within a transaction's bounds, some of them 0, and any going fee rate above 0.

    Shape (rows, 8), the columns in the order of `DETECTOR_FIELDS`.
    """
    numbers = np.exp(rng.uniform(0, np.log(1e6), (rows, len(DETECTOR_FIELDS))))
    zero = rng.random(numbers.shape) < 0.05
    zero[:, :2] = False
    market = numbers[:, MARKET].copy()
    numbers = np.where(zero, 0.0, np.floor(numbers))
    numbers[:, MARKET] = market
    return numbers


def is_exact(forest: Forest, pipeline: Any) -> bool:
    """Whether the flattened forest gives the pipeline's scores on every row tried."""
    rng = np.random.default_rng(0)
    rows = adversarial_rows(pipeline[-1], _ROWS, rng)
    if not np.array_equal(forest.scores(rows), -pipeline[-1].score_samples(rows)):
        return False
    numbers, tails = random_transactions(_TRANSACTIONS, rng), pipeline[0].kw_args["tails"]
    one_by_one = [forest.scores(features(row[None], tails))[0] for row in numbers]
    return np.array_equal(one_by_one, -pipeline.score_samples(numbers))
