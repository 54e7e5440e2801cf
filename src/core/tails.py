"""How far out each measure goes in recent traffic: what rarity is counted by.

On the logarithmic scale: the median, the 1 % quantiles on both sides, and beyond them the mean
excess, which is the decay of a Pareto tail (Hill, "A simple general approach to inference about the
tail of a distribution", 1975): amounts, counts and fees have such tails. Learned at training, kept
in the registered pipeline.
"""

import numpy as np
from numpy.typing import NDArray

from core.features import Numbers, levels, measures

_LEAST_REACH = 0.05
"""Decades from the median to a quantile, at the least: many rows can share one value."""

_LEAST_SPREAD = 0.15
"""Decades of mean excess, at the least: a tail of a few rows must not look like a wall."""

_QUANTILES = [0.01, 0.5, 0.99]


def tails(numbers: Numbers) -> NDArray[np.float64]:
    """Learn the tails of rows without coinbase transactions, shape (n, 7), at least one.

    Shape (5, len(FEATURES)): low quantile, median, high quantile, low and high mean excess, all on
    the scale of `core.features.levels`.
    """
    scale = levels(measures(numbers))
    low, median, high = np.quantile(scale, _QUANTILES, axis=0)
    low, high = np.minimum(low, median - _LEAST_REACH), np.maximum(high, median + _LEAST_REACH)
    excesses = [_mean_excess(low - scale), _mean_excess(scale - high)]
    return np.stack([low, median, high, *excesses])


def _mean_excess(beyond: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of what is above 0 in each column, and not less than the least spread."""
    count = np.maximum((beyond > 0).sum(axis=0), 1)
    excess: NDArray[np.float64] = np.maximum(beyond, 0).sum(axis=0) / count
    return np.maximum(excess, _LEAST_SPREAD)
