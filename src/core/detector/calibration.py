"""A model's calibration on recent traffic: the threshold, the percentiles, the usual ranges.

It is stored as JSON with each registered version; recalibrating the same trees makes a new version.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.feature_table import NAMES
from core.features import Numbers, coinbase_rows, market_measures

_LEVELS = np.round(np.concatenate([np.linspace(0, 0.999, 1000), np.linspace(0.9991, 1, 10)]), 4)
"""The levels of the stored quantiles: every 0.1 %, and every 0.01 % in the last 0.1 %."""


@dataclass(frozen=True)
class Calibration:
    """The calibration of one model version; coinbase transactions are left out.

    `budget` is the share of traffic that may be flagged; `quantiles` are scores, ascending, at
    `levels` in 0..1; `usual` has the 1 % and 99 % quantile of each feature's `market_measures`;
    `rows` is the number of rows it was computed from; `trained_at` is an ISO time; `facts` is other
    JSON data about the version (evaluation, drift reference).
    """

    threshold: float
    budget: float
    levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    usual: Mapping[str, tuple[float, float]]
    origin: Literal["live", "simulated"]
    trained_at: str
    rows: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def percentiles(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of recent traffic, in 0..1, that scores no higher; shape as `scores`."""
        quantiles, steps = self._steps
        shares: NDArray[np.float64] = steps[quantiles.searchsorted(scores, side="right")]
        return shares

    def percentile(self, score: float) -> float:
        """`percentiles` of one score."""
        place = bisect_right(self.quantiles, score)
        return self.levels[place - 1] if place else 0.0

    @cached_property
    def _steps(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The quantiles, and the share of traffic below the first and from each of them on."""
        return np.array(self.quantiles), np.concatenate([[0.0], self.levels])

    def to_json(self) -> str:
        """Write it as one JSON object."""
        return json.dumps(asdict(self), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Calibration":
        """Read what `to_json` wrote; raises `ValueError` or `TypeError` for anything else."""
        fields = json.loads(text)
        for name in ("levels", "quantiles"):
            fields[name] = tuple(fields[name])
        fields["usual"] = {name: (low, high) for name, (low, high) in fields["usual"].items()}
        if set(fields["usual"]) != set(NAMES):
            raise ValueError("the usual ranges are not those of this version's features")
        return cls(**fields)


def calibrate(
    numbers: Numbers,
    scores: NDArray[np.float64],
    *,
    budget: float,
    origin: Literal["live", "simulated"],
    trained_at: str,
    facts: Mapping[str, Any],
    threshold: float | None = None,
) -> Calibration:
    """Calibrate a model by its `scores` of recent traffic `numbers`, shape (n, 8).

    Without a `threshold` it is the `alert_threshold` of these scores.

    Raises `ValueError` when all rows are coinbase transactions, or there are none.
    """
    ordinary = ~coinbase_rows(numbers)
    scores = scores[ordinary]
    if len(scores) == 0:
        raise ValueError("nothing to calibrate by: all transactions are coinbase transactions")
    lows, highs = np.quantile(market_measures(np.asarray(numbers)[ordinary]), [0.01, 0.99], axis=0)
    return Calibration(
        threshold=alert_threshold(scores, budget) if threshold is None else threshold,
        budget=budget,
        levels=tuple(_LEVELS.tolist()),
        quantiles=tuple(np.quantile(scores, _LEVELS, method="higher").tolist()),
        usual=dict(zip(NAMES, zip(lows.tolist(), highs.tolist(), strict=True), strict=True)),
        origin=origin,
        trained_at=trained_at,
        rows=len(scores),
        facts=facts,
    )


def alert_threshold(scores: NDArray[np.float64], budget: float) -> float:
    """The threshold that a share `budget` of new traffic with such scores reaches.

    The threshold lies just above the k-th highest of the n scores. If new traffic is like the old,
    the next row is among the k highest of n + 1 with probability k / (n + 1), a conformal p-value
    (Vovk et al., "Algorithmic Learning in a Random World", 2005). k is at least 1, and such that
    this share is nearest to the budget by ratio. Where many rows share the highest score, none of
    them is flagged.
    """
    ordered = np.sort(scores)[::-1]
    wanted = budget * (len(ordered) + 1)
    nearest = round(math.sqrt(wanted**2 + 0.25))  # k becomes k + 1 at the root of k * (k + 1)
    return float(np.nextafter(ordered[max(nearest, 1) - 1], np.inf))
