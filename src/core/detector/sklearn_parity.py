"""Whether a flattened forest scores as scikit-learn does, to the bit, where it is hardest.

The rows lie on the forest's own thresholds, on their float32 neighbours and on both sides, so that
a comparison or a rounding that differs anywhere shows; then random transactions go through the
whole pipeline, one at a time and together.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detector.forest import Forest
from core.features import features
from core.transaction import NUMERIC_FIELDS

_ROWS, _SINGLE = 1_000, 8


def adversarial_rows(isolation_forest: Any, rows: int, rng: np.random.Generator) -> NDArray[Any]:
    """Rows of features, each on a random threshold of the forest or next to it; (rows, k)."""
    k = isolation_forest.n_features_in_
    trees = [estimator.tree_ for estimator in isolation_forest.estimators_]
    feature = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    out = rng.normal(size=(rows, k))
    for column in range(k):
        own = threshold[feature == column]
        if len(own):
            out[:, column] = rng.choice(own, rows)
    return _nudged(out, rng)


def _nudged(rows: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Each value as it is, or at its float32 neighbours below and above, or far out."""
    near = rows.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf))
    above = np.nextafter(near, np.float32(np.inf))
    choices = np.stack([rows, near, below, above, rows * 1e6, rows * 1e-6])
    which = rng.integers(0, len(choices), rows.shape)
    nudged: NDArray[np.float64] = np.take_along_axis(choices, which[None], axis=0)[0]
    return nudged


def random_transactions(rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Any seven numbers within a transaction's bounds, zeros among them; shape (rows, 7)."""
    numbers = np.exp(rng.uniform(0, np.log(1e6), (rows, len(NUMERIC_FIELDS))))
    zero = rng.random(numbers.shape) < 0.05
    zero[:, :2] = False
    return np.where(zero, 0, numbers).astype(np.int64)


def is_exact(forest: Forest, pipeline: Any) -> bool:
    """Whether the flattened forest gives the pipeline's scores on every trial row."""
    rng = np.random.default_rng(0)
    rows = adversarial_rows(pipeline[-1], _ROWS, rng)
    if not _agree(forest.scores(rows), -pipeline[-1].score_samples(rows)):
        return False
    numbers = random_transactions(_SINGLE, rng)
    expected = -pipeline.score_samples(numbers)
    tails = pipeline[0].kw_args["tails"]
    single = [forest.scores(features(numbers[i : i + 1], tails))[0] for i in range(_SINGLE)]
    return _agree(np.array(single), expected)


def _agree(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> bool:
    return bool(np.array_equal(ours, theirs))
