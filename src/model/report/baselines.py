"""Simpler detectors that the forest is compared with: two rules, and another library's detector.

Each learns from the same rows, scores higher what is more unusual, and gets its threshold from the
same budget on the same kind of sample, so that recalls can be compared.
"""

from collections.abc import Callable, Mapping

import numpy as np
from sklearn.neighbors import LocalOutlierFactor

from core.detector.calibration import alert_threshold
from core.feature_table import NAMES
from core.features import levels
from model.challenger import TrainingData
from model.evaluation import Evaluation, Floats, Scorer, evaluate, inject

_LEAST_DEVIATION = 0.05
"""In decades. Where most rows share one value, the median deviation is 0."""

_NEIGHBOUR_ROWS = 2_000
"""Rows a local outlier factor is fitted on: each one makes scoring a row slower."""

_EVALUATED_ROWS = 5_000
"""Rows that baselines are calibrated and evaluated on: finding neighbours is slow."""


def robust_z(rows: Floats) -> Scorer:
    """The largest robust z-score of any measure (Iglewicz, Hoaglin 1993)."""
    deviations = _deviations(rows)
    return lambda others: deviations(others).max(axis=1)


def fee_rate_rule(rows: Floats) -> Scorer:
    """The robust z-score of the fee rate alone, by which most wallets and explorers warn."""
    deviations, column = _deviations(rows), NAMES.index("fee_rate")
    return lambda others: deviations(others)[:, column]


def local_outlier_factor(rows: Floats) -> Scorer:
    """Density compared with that of the neighbours (Breunig et al. 2000), by scikit-learn."""
    deviations = _deviations(rows)
    detector = LocalOutlierFactor(n_neighbors=20, novelty=True)
    detector.fit(deviations(rows[:_NEIGHBOUR_ROWS]))
    return lambda others: -np.asarray(detector.score_samples(deviations(others)), np.float64)


BASELINES: Mapping[str, Callable[[Floats], Scorer]] = {
    "robust_z": robust_z,
    "fee_rate_rule": fee_rate_rule,
    "local_outlier_factor": local_outlier_factor,
}
"""Each baseline learns from rows of shape (n, 8) and returns a scorer."""


def evaluate_baselines(data: TrainingData) -> dict[str, Evaluation]:
    """Evaluate every baseline on rows of the challenger's own training."""
    for_threshold = data.for_threshold[:_EVALUATED_ROWS]
    newest = data.judged[:_EVALUATED_ROWS]
    injected = inject(newest)
    evaluations = {}
    for name, learn in BASELINES.items():
        score = learn(data.for_trees)
        threshold = alert_threshold(score(for_threshold), data.recipe.budget)
        evaluations[name] = evaluate(score, threshold, newest, injected)
    return evaluations


def _deviations(rows: Floats) -> Callable[[Floats], Floats]:
    """A function that gives each measure's distance from its median, in robust deviations."""
    scale = levels(rows)
    median = np.median(scale, axis=0)
    spread = 1.4826 * np.median(np.abs(scale - median), axis=0)
    spread = np.maximum(spread, _LEAST_DEVIATION)
    return lambda others: np.abs(levels(others) - median) / spread
