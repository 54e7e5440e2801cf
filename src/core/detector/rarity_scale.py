"""The rarity scale: how far from the median each measure of recent traffic lies, by rarity.

On a logarithmic scale, and separately below and above the median, it holds the distance that one
row in 100 exceeds, one in 300, and so on, as long as ten rows lie beyond. Further out it
extrapolates by the mean excess beyond the last of these bounds, which estimates the decay of a
Pareto tail (Hill, "A simple general approach to inference about the tail of a distribution", 1975);
amounts, counts and fees have such tails. Since the mean of a few rows is uncertain, it is averaged
with the excess beyond the 1 % bound. The scale is learned at training and saved in the pipeline.
"""

import math

import numpy as np
from numpy.typing import NDArray

from core.features import RARITIES, Numbers, levels

Floats = NDArray[np.float64]

_LEAST_REACH = 0.05
"""The least distance, in decades, from the median to the first bound: many rows can be equal."""

_LEAST_SPREAD = 0.15
"""The least mean excess, in decades: a tail of few rows must not seem to end abruptly."""

_LEAST_BEYOND = 10
"""The least number of rows beyond a bound that is counted rather than extrapolated."""

_PRIOR_ROWS = 10
"""The weight, in rows, of the excess beyond the 1 % bound in the excess beyond a later one."""


def learn_rarity_scale(numbers: Numbers) -> Floats:
    """Learn the scale from rows without coinbase transactions, shape (n, 8), at least one.

    The result is the argument `tails` of `core.features.features`. Its shape is
    (2, len(FEATURES), len(RARITIES) + 1): the side below the median and the one above, on the scale
    of `core.features.levels`. For each feature it has the median, the distance from the median to
    each further rarity of `RARITIES`, and the mean excess beyond the last.
    """
    scale = levels(numbers)
    median = np.median(scale, axis=0)
    sides = [_side(median - scale), _side(scale - median)]
    return np.stack([np.column_stack([median, *side]) for side in sides])


def _side(distance: Floats) -> list[Floats]:
    """The distance of each rarity but the median's, then the mean excess."""
    bounds = [np.maximum(_bound(distance, RARITIES[1]), _LEAST_REACH)]
    first = excess = _mean_excess(distance - bounds[0], 0.0, 0)
    for before, rarity in zip(RARITIES[1:], RARITIES[2:], strict=False):
        step = (rarity - before) * math.log(10.0)
        if len(distance) * 10.0**-rarity < _LEAST_BEYOND:
            bounds.append(bounds[-1] + step * excess)
            continue
        counted = _bound(distance, rarity)
        bounds.append(np.maximum(counted, bounds[-1] + step * _LEAST_SPREAD))
        excess = _mean_excess(distance - bounds[-1], first, _PRIOR_ROWS)
    return [*bounds, excess]


def _bound(distance: Floats, rarity: float) -> Floats:
    """The distance that one row in 10 ** rarity exceeds, for each column."""
    bound: Floats = np.quantile(distance, 1.0 - 10.0**-rarity, axis=0)
    return bound


def _mean_excess(beyond: Floats, prior: Floats | float, prior_rows: int) -> Floats:
    """The mean of the positive values in each column, but at least `_LEAST_SPREAD`."""
    count = np.maximum((beyond > 0).sum(axis=0) + prior_rows, 1)
    excess: Floats = (np.maximum(beyond, 0).sum(axis=0) + prior * prior_rows) / count
    return np.maximum(excess, _LEAST_SPREAD)
