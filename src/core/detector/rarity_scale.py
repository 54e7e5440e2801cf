"""How far out each measure goes in recent traffic: what rarity is counted by.

On the logarithmic scale and on both sides of the median: how far out one row in a hundred lies, one
in 300, and so on as long as ten rows lie beyond. Farther out the mean excess says how fast the tail
thins, which is the decay of a Pareto tail (Hill, "A simple general approach to inference about the
tail of a distribution", 1975): amounts, counts and fees have such tails. A few rows tell a mean
badly, so that it is drawn towards the excess over the 1 % bound. Learned at training, kept in the
registered pipeline.
"""

import math

import numpy as np
from numpy.typing import NDArray

from core.features import RARITIES, Numbers, levels, measures

Floats = NDArray[np.float64]

_LEAST_REACH = 0.05
"""Decades from the median to the first bound, at the least: many rows can share one value."""

_LEAST_SPREAD = 0.15
"""Decades of mean excess, at the least: a tail of a few rows must not look like a wall."""

_LEAST_BEYOND = 10
"""Rows beyond a bound that is counted, not extrapolated."""

_PRIOR_ROWS = 10
"""How many rows the excess over the 1 % bound counts for in the excess over the last bound."""


def tails(numbers: Numbers) -> Floats:
    """Learn the tails of rows without coinbase transactions, shape (n, 7), at least one.

    Shape (2, len(FEATURES), len(RARITIES) + 1), the low side and the high one, on the scale of
    `core.features.levels`: the median, the distances from it to each other of `RARITIES`, and the
    mean excess beyond the last.
    """
    scale = levels(measures(numbers))
    median = np.median(scale, axis=0)
    sides = [_side(median - scale), _side(scale - median)]
    return np.stack([np.column_stack([median, *side]) for side in sides])


def _side(distance: Floats) -> list[Floats]:
    """The distances of all rarities but that of the median, then the mean excess."""
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
    """How far out each column goes with one row in 10 ** rarity."""
    bound: Floats = np.quantile(distance, 1.0 - 10.0**-rarity, axis=0)
    return bound


def _mean_excess(beyond: Floats, prior: Floats | float, prior_rows: int) -> Floats:
    """The mean of what is above 0 in each column, and not less than the least spread."""
    count = np.maximum((beyond > 0).sum(axis=0) + prior_rows, 1)
    excess: Floats = (np.maximum(beyond, 0).sum(axis=0) + prior * prior_rows) / count
    return np.maximum(excess, _LEAST_SPREAD)
