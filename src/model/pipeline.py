"""The model: our features, then an Isolation Forest, as one scikit-learn pipeline.

Liu, Ting, Zhou: Isolation Forest, ICDM 2008. Each tree needs only a small sub-sample, so that a
forest needs few rows, however large the table is: a few hundred new ones a tree, whose sub-sample
is drawn from them all. The threshold is no part of it (`contamination` would score every row at
fit): `core/detector/calibration.py` sets it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from core.detector.rarity_scale import learn_rarity_scale
from core.features import features

_ROWS_A_TREE = 256


@dataclass(frozen=True)
class ForestShape:
    """What a forest is grown by; the same shape, rows and seed give the same forest to the bit."""

    trees: int = 200
    sub_sample: int = 4_096
    seed: int = 7

    @property
    def rows(self) -> int:
        """The rows it is grown from."""
        return self.trees * max(_ROWS_A_TREE, self.sub_sample // 8)


def fit(rows: NDArray[np.int64], shape: ForestShape) -> Pipeline:
    """Fit on rows of shape (n, 7); the first `shape.rows` of them are used."""
    used = rows[: shape.rows]
    forest = IsolationForest(
        n_estimators=shape.trees,
        max_samples=min(shape.sub_sample, len(used)),
        contamination="auto",
        random_state=shape.seed,
        n_jobs=1,  # several jobs add the depths in another order: no longer equal to the bit
    )
    seen = FunctionTransformer(features, kw_args={"tails": learn_rarity_scale(used)})
    return Pipeline([("features", seen), ("forest", forest)]).fit(used)


def with_threshold(pipeline: Pipeline, threshold: float) -> Pipeline:
    """Move the forest's own offset, so that `predict` says -1 exactly where our verdict flags.

    Changes the pipeline that is given, and returns it; scores stay as they are.
    """
    pipeline[-1].offset_ = float(np.nextafter(-threshold, np.inf))
    return pipeline
