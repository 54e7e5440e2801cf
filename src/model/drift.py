"""How far recent traffic has moved from the traffic that a model was calibrated on.

The population stability index of two distributions over the same bins is
sum((now - then) * ln(now / then)). By custom (Siddiqi, Credit Risk Scorecards, 2006) below 0.1
nothing has changed, and from 0.25 on a lot has.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detector.champion import Champion
from core.feature_table import NAMES
from core.features import measures

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

LEAST_ROWS = 1_000
"""With fewer rows the index is mostly noise: about bins / rows by chance alone."""

SCORE = "anomaly_score"
_BINS = 10
_LEAST_SHARE = 1e-3
"""A bin that one side leaves empty would be infinitely far away."""


def reference(rows: Integers, scores: Floats) -> dict[str, dict[str, list[float]]]:
    """Ten bins of equal share for each feature and for the score, as JSON has it.

    Where many rows share a value there are fewer bins: each begins at another value.
    """
    columns = dict(zip(NAMES, measures(rows).T, strict=True)) | {SCORE: scores}
    return {name: _bins(column) for name, column in columns.items()}


def _bins(column: Floats) -> dict[str, list[float]]:
    edges = np.unique(np.quantile(column, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return {"edges": edges.tolist(), "shares": _shares(column, edges).tolist()}


def _shares(column: Floats, edges: Floats) -> Floats:
    bins = np.searchsorted(edges, column, side="left")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    shares: Floats = np.maximum(counts / len(column), _LEAST_SHARE)
    return shares


def stability_index(then: Mapping[str, list[float]], column: Floats) -> float:
    """The index of a column against its reference; 0 for the same distribution."""
    before, now = np.array(then["shares"]), _shares(column, np.array(then["edges"]))
    return float(np.sum((now - before) * np.log(now / before)))


def drift(champion: Champion, rows: Integers) -> dict[str, float]:
    """The index of each feature and of the score; empty when the version keeps no reference."""
    then: Mapping[str, Any] = champion.calibration.facts.get("drift", {})
    columns = dict(zip(NAMES, measures(rows).T, strict=True)) | {SCORE: champion.scores(rows)}
    return {name: stability_index(then[name], columns[name]) for name in columns if name in then}
