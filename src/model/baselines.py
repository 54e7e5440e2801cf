"""What a forest must be better than: two rules of thumb and another library's detector.

Each learns from the same rows, scores higher what is more unusual, and gets its threshold by the
same budget on the same kind of sample, so that recalls can be compared.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import LocalOutlierFactor

from core.detector.calibration import alert_threshold
from core.feature_table import NAMES
from core.features import levels, measures
from model.evaluation import Evaluation, Scorer, evaluate

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_LEAST_DEVIATION = 0.05
"""In decades: where most rows share one value, their median deviation is 0."""

_NEIGHBOUR_ROWS = 2_000
"""Rows a local outlier factor is fitted on: its cost grows with them for every row it scores."""


def _scale(rows: Integers) -> Floats:
    return levels(measures(rows))


def _deviations(rows: Integers) -> Callable[[Integers], Floats]:
    """How many robust standard deviations each measure lies from its median."""
    scale = _scale(rows)
    median = np.median(scale, axis=0)
    spread = 1.4826 * np.median(np.abs(scale - median), axis=0)
    spread = np.maximum(spread, _LEAST_DEVIATION)
    return lambda others: np.abs(_scale(others) - median) / spread


def robust_z(rows: Integers) -> Scorer:
    """The largest robust z-score of any measure (Iglewicz, Hoaglin 1993)."""
    deviations = _deviations(rows)
    return lambda others: deviations(others).max(axis=1)


def fee_rate_rule(rows: Integers) -> Scorer:
    """How far the fee rate lies from the usual: what most wallets and explorers warn by."""
    deviations, column = _deviations(rows), NAMES.index("fee_rate")
    return lambda others: deviations(others)[:, column]


def local_outlier_factor(rows: Integers) -> Scorer:
    """Density against that of the neighbours (Breunig et al. 2000), scikit-learn's own."""
    deviations = _deviations(rows)
    detector = LocalOutlierFactor(n_neighbors=20, novelty=True)
    detector.fit(deviations(rows[:_NEIGHBOUR_ROWS]))
    return lambda others: -np.asarray(detector.score_samples(deviations(others)), np.float64)


BASELINES: Mapping[str, Callable[[Integers], Scorer]] = {
    "robust_z": robust_z,
    "fee_rate_rule": fee_rate_rule,
    "local_outlier_factor": local_outlier_factor,
}
"""Each baseline: learns from rows of shape (n, 7), gives a scorer."""


def compared(
    for_trees: Integers,
    for_threshold: Integers,
    ordinary: Integers,
    injected: Mapping[str, Integers],
    budget: float,
) -> dict[str, Evaluation]:
    """Every baseline on the rows that the forest had."""
    found = {}
    for name, learn in BASELINES.items():
        score = learn(for_trees)
        threshold = alert_threshold(score(for_threshold), budget)
        found[name] = evaluate(score, threshold, ordinary, injected)
    return found
