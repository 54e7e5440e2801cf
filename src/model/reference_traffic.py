"""Ordinary traffic that every training compares its own rows with, and markets of other levels.

A young sample cannot tell what is rare: of 2,000 rows two are the one in a thousand, and ten
anomalies among them are more than that. So a training adds generated rows, whose shapes and fees
follow recorded traffic (`core/ordinary_traffic`). They count as much as 6,000 rows of its own, and
so for little as soon as there are many.

A sample has seen few levels of fees, and its going rate is an estimate. So every row is learned
from beside a market that is wrong by a random factor: what is ordinary at half or twice the rate
that others pay is not rare.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.features import MARKET
from core.ordinary_traffic.traffic import beside_market

Floats = NDArray[np.float64]

REFERENCE_ROWS = 6_000
"""Generated rows that a training adds to its own."""

MARKET_SPREAD = 0.5
"""Standard deviation of the natural logarithm of the factor by which a market is off."""

_SEED, _HOURS = 77, 48


@cache
def reference_rows() -> Floats:
    """Two days of generated traffic, each row beside its market; shape (n, 8), never to change."""
    rows = beside_market(REFERENCE_ROWS, _SEED, rate=REFERENCE_ROWS / (_HOURS * 3600))
    rows.setflags(write=False)
    return rows


def in_other_markets(rows: Floats, seed: int) -> Floats:
    """The rows, shape (n, 8), each beside a going rate that is off by a random factor."""
    moved = rows.copy()
    factors = np.random.default_rng(seed).normal(0.0, MARKET_SPREAD, len(rows))
    moved[:, MARKET] *= np.exp(factors)
    return moved
