"""The model: the project's features, then an Isolation Forest, as one scikit-learn pipeline.

The detector is that of Liu, Ting, Zhou: Isolation Forest, ICDM 2008. Each tree is grown from a
small sub-sample, so a forest needs only a few hundred new rows per tree, however large the table
is. The pipeline does not set the alert threshold: scikit-learn's `contamination` would score every
training row at fit. `core/detector/calibration.py` sets it from a separate sample.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from core.detector.forest import Forest, flatten
from core.detector.rarity_scale import learn_rarity_scale
from core.features import Floats, features
from model.rarity_curve import RarityCurve, rarity_curve

_LEAST_ROWS_PER_TREE = 256


@dataclass(frozen=True)
class ForestShape:
    """Size and seed of a forest; the same shape and rows give the same forest to the bit."""

    trees: int = 200
    sub_sample: int = 4_096
    seed: int = 7

    @property
    def rows(self) -> int:
        """How many rows the forest is grown from."""
        return self.trees * max(_LEAST_ROWS_PER_TREE, self.sub_sample // 8)


def fit(rows: NDArray[Any], shape: ForestShape) -> Pipeline:
    """Fit on rows of shape (n, 8); the first `shape.rows` of them are used."""
    used = rows[: shape.rows]
    forest = IsolationForest(
        n_estimators=shape.trees,
        max_samples=min(shape.sub_sample, len(used)),
        contamination="auto",
        random_state=shape.seed,
        n_jobs=1,  # parallel jobs add the depths in another order: no longer equal to the bit
    )
    transformer = FunctionTransformer(features, kw_args={"tails": learn_rarity_scale(used)})
    return Pipeline([("features", transformer), ("forest", forest)]).fit(used)


@dataclass(frozen=True)
class FittedForest:
    """A fitted pipeline, its forest as services score with it, and its rarity curve."""

    pipeline: Pipeline
    forest: Forest
    curve: RarityCurve

    @classmethod
    def fit(cls, rows: Floats, shape: ForestShape) -> "FittedForest":
        """Fit a pipeline as `fit` does."""
        return cls.of(fit(rows, shape), rows)

    @classmethod
    def of(cls, pipeline: Pipeline, rows: Floats) -> "FittedForest":
        """Measure the curve of a fitted pipeline beside ordinary rows, shape (n, 8)."""
        forest = flatten(pipeline[-1])
        seen = features(rows, pipeline[0].kw_args["tails"])
        return cls(pipeline, forest, rarity_curve(forest.scores, seen))

    def scores(self, rows: NDArray[Any]) -> Floats:
        """The anomaly score of each row, shape (n, 8): that of the pipeline."""
        return self.forest.scores(features(rows, self.pipeline[0].kw_args["tails"]))


def set_threshold(pipeline: Pipeline, threshold: float) -> Pipeline:
    """Move the forest's offset so that `predict` returns -1 exactly for scores from `threshold` on.

    Changes and returns the given pipeline; its scores stay as they are.
    """
    pipeline[-1].offset_ = float(np.nextafter(-threshold, np.inf))
    return pipeline
