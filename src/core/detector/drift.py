"""How far recent traffic has moved from the traffic that a model was calibrated on.

The population stability index of two distributions over the same bins is
sum((now - then) * ln(now / then)). By custom (Siddiqi, Credit Risk Scorecards, 2006) an index below
0.1 means no change, and one from 0.25 on a large change.

Measures are compared with the market taken out, as the model sees them: fees that rise with all
others are no drift. Traffic has a daily cycle and short spikes. Minutes or hours of it differ from
a mix of days by more than 0.25 without any lasting change. So a whole day is compared with whole
days.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.detector.calibration import Calibration
from core.feature_table import NAMES
from core.features import Floats, market_measures

LEAST_ROWS = 1_000
"""With fewer rows the index is mostly noise: about bins / rows by chance alone."""

LEAST_SECONDS = 23 * 3600
"""Rows that cover this time have every hour of the day."""

SCORE = "anomaly_score"
_BINS = 10
_LEAST_SHARE = 1e-3
"""Share of an empty bin: with 0 the index would be infinite."""


def drift_reference(rows: Floats, scores: Floats) -> dict[str, dict[str, list[float]]]:
    """Ten bins of equal share for each feature and for the score, ready for JSON.

    A column in which many rows share a value has fewer bins, because no two start at one value.
    """
    reference = {}
    for name, column in _columns(rows, scores).items():
        edges = np.unique(np.quantile(column, np.linspace(0, 1, _BINS + 1)[1:-1]))
        shares = _shares(column, edges)
        reference[name] = {"edges": edges.tolist(), "shares": shares.tolist()}
    return reference


def drift_indexes(bins: Mapping[str, Any], rows: Floats, scores: Floats) -> dict[str, float]:
    """The index of each feature and of the score against a `drift_reference`.

    `rows` has shape (n, 8), `scores` (n,). A column that the reference does not have is left out.
    """
    return {
        name: stability_index(bins[name], column)
        for name, column in _columns(rows, scores).items()
        if name in bins
    }


def drift_limit(calibration: Calibration, rows: int, covered_seconds: float, limit: float) -> float:
    """The index from which so many recent rows have drifted; infinite where no limit would be fair.

    It is fair where the recent rows and the champion's sample cover a day each. `limit` is that of
    large samples; small ones have a higher index by chance.
    """
    if min(covered_seconds, calibration.facts.get("covered_seconds", 0.0)) < LEAST_SECONDS:
        return math.inf
    return limit + (_BINS - 1) * (1 / rows + 1 / calibration.rows)


def stability_index(reference: Mapping[str, list[float]], column: Floats) -> float:
    """The index of a column against its reference; 0 for the same distribution."""
    then, now = np.array(reference["shares"]), _shares(column, np.array(reference["edges"]))
    return float(np.sum((now - then) * np.log(now / then)))


def _columns(rows: Floats, scores: Floats) -> dict[str, Floats]:
    return dict(zip(NAMES, market_measures(rows).T, strict=True)) | {SCORE: scores}


def _shares(column: Floats, edges: Floats) -> Floats:
    bins = np.searchsorted(edges, column, side="left")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    shares: Floats = np.maximum(counts / len(column), _LEAST_SHARE)
    return shares
