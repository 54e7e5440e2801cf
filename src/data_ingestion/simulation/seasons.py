"""How the network's pressure changes: a day's cycle and spikes of the fee level.

The day's cycle is an assumption, a plain cosine: most traffic while Europe and America are both
awake, least twelve hours later. Spikes are the minutes after a slow block or a rush for tokens,
when the market's rate multiplies: in 162 blocks of 2024 and 2025 [1] the block's median fee rate
is 1 sat/vB at the tenth part, 24 at the median, 35 at the nine tenths and 150 at the most.

[1] `block_feerate_stats.csv` of the sample data.
"""

import numpy as np
from numpy.typing import NDArray

DAY_SWING = 0.2
"""The day's peak lies so far above the mean, the night's trough so far below."""

PEAK_SECOND = 15 * 3600
"""Second of the UTC day with the most traffic."""

SPIKE_SHARE = 0.06
"""Share of the quarter hours that are a spike."""

SPIKE_FACTOR = (1.5, 4.0)
"""A spike multiplies the fee level by something between these."""

QUARTER = 900
"""Seconds in one slot of the market's mood."""


def day_cycle(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The traffic at Unix times as a multiple of the day's mean, 0.8 to 1.2."""
    return 1 + DAY_SWING * np.cos(2 * np.pi * (times - PEAK_SECOND) / 86_400)


def fee_level(times: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """The market's fee rate at Unix times as a multiple of its usual one.

    The same seed has its spikes at the same times, however the times are asked for.
    """
    slots = (times // QUARTER).astype(np.int64)
    unique, place = np.unique(slots, return_inverse=True)
    spikes = np.array([_spike(int(slot), seed) for slot in unique])
    level: NDArray[np.float64] = day_cycle(times) * spikes[place]
    return level


def _spike(slot: int, seed: int) -> float:
    mood = np.random.default_rng((seed, slot))
    return float(mood.uniform(*SPIKE_FACTOR)) if mood.random() < SPIKE_SHARE else 1.0
