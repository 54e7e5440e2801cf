"""What a model's scores mean in recent traffic: the threshold, the percentiles, the usual ranges.

Stored with each registered version as JSON; a new calibration of the same trees is a new version.
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

from core.features import NAMES, Numbers, is_coinbase, measures

_LEVELS = np.concatenate([np.linspace(0, 0.999, 1000), np.linspace(0.9991, 1, 10)])
"""Where quantiles are kept: every 0.1 %, and every 0.01 % of the last 0.1 %."""


@dataclass(frozen=True)
class Calibration:
    """A model's scores set against recent traffic, coinbase transactions left out.

    `budget` is the share of traffic that may be flagged; `quantiles` are scores, ascending, at
    `levels` in 0..1; `usual` gives each feature's 1 % and 99 % quantile in its measure's unit;
    `rows` is how many rows it was made from, `trained_at` an ISO time, `facts` whatever else the
    version should tell (evaluation, drift reference), as JSON has it.
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
        found: NDArray[np.float64] = steps[quantiles.searchsorted(scores, side="right")]
        return found

    def percentile(self, score: float) -> float:
        """As `percentiles`, of one score."""
        place = bisect_right(self.quantiles, score)
        return self.levels[place - 1] if place else 0.0

    @cached_property
    def _steps(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The quantiles, and the level below the first and from each of them on."""
        return np.array(self.quantiles), np.concatenate([[0.0], self.levels])

    def to_json(self) -> str:
        """Write it as one JSON object."""
        return json.dumps(asdict(self), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Calibration":
        """Read what `to_json` wrote; raises `ValueError` or `TypeError` for anything else."""
        found = json.loads(text)
        for name in ("levels", "quantiles"):
            found[name] = tuple(found[name])
        found["usual"] = {name: (low, high) for name, (low, high) in found["usual"].items()}
        if set(found["usual"]) != set(NAMES):
            raise ValueError("the usual ranges are not those of this version's features")
        return cls(**found)


def calibrate(
    numbers: Numbers,
    scores: NDArray[np.float64],
    *,
    budget: float,
    origin: Literal["live", "simulated"],
    trained_at: str,
    facts: Mapping[str, Any],
) -> Calibration:
    """Set a model's `scores` of recent traffic `numbers`, shape (n, 7), against each other.

    Raises `ValueError` when no row but coinbase transactions is given.
    """
    ordinary = ~is_coinbase(numbers)
    kept = scores[ordinary]
    if len(kept) == 0:
        raise ValueError("nothing to calibrate by: no transaction but coinbase ones")
    lows, highs = np.quantile(measures(np.asarray(numbers)[ordinary]), [0.01, 0.99], axis=0)
    return Calibration(
        threshold=alert_threshold(kept, budget),
        budget=budget,
        levels=tuple(_LEVELS.tolist()),
        quantiles=tuple(np.quantile(kept, _LEVELS, method="higher").tolist()),
        usual=dict(zip(NAMES, zip(lows.tolist(), highs.tolist(), strict=True), strict=True)),
        origin=origin,
        trained_at=trained_at,
        rows=len(kept),
        facts=facts,
    )


def alert_threshold(scores: NDArray[np.float64], budget: float) -> float:
    """The threshold that new traffic like these scores reaches with the share `budget`.

    Of n + 1 rows that come in any order the newest is among the k highest in k of n + 1 cases: it
    lies just above the k-th highest (Vovk et al., "Algorithmic Learning in a Random World", 2005:
    a conformal p-value), k the number, 1 at the least, whose share comes nearest to the budget, by
    ratio. Where many rows share the highest score none of them is flagged.
    """
    ordered = np.sort(scores)[::-1]
    wanted = budget * (len(ordered) + 1)
    nearest = round(math.sqrt(wanted**2 + 0.25))  # from k to k + 1 at the root of k * (k + 1)
    return float(np.nextafter(ordered[max(nearest, 1) - 1], np.inf))
