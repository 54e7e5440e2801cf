"""Paths of the market's fee level: what senders pay over time, as a multiple of `USUAL_RATE`.

A path is a pure function of Unix times, a seed and the Unix time at which it starts. It gives the
same level for a time whichever other times are passed, and in whatever order.

| path | level |
|---|---|
| `steady` | the usual one, with the day's cycle and spikes of a quarter of an hour |
| `day` | steps at each block as in 2024 and 2025, around a level of the day; quiet weekends |
| `step` | the usual one, four times it from 15 minutes after the start on |
| `ramp` | the usual one, rising to four times it from the 15th to the 35th minute after the start |
| `halving` | 10 sat/vB; from the 15th minute on 1,500 within an hour, and back within three |
| `off` | always the usual one |

Sources. The figures of `day` are quantiles of the median fee rates of 160 blocks [1]: 84 of 11 and
12 June 2024 (heights 847,493 to 847,576) and 76 of 25 and 26 July 2025 (907,112 to 907,234, with
gaps). Two more blocks, of 6 and 46 transactions, say nothing of a market and are left out. How the
level moves from one day to another is not in these figures, so it is an assumption: a weekday lies
between July's median and twice June's, a weekend in July's lowest quarter. `halving` stands for 20
April 2024: block 840,000 took 37.67 BTC of fees [2], some 3,700 sat/vB on the mean, when tokens
(Runes) could first be made; its two levels and times are round figures, not measured ones. The
cycle of a day is an assumption too, a plain cosine: most traffic while Europe and America are both
awake, least twelve hours later.

[1] `block_feerate_stats.csv` of the sample data.
[2] mempool.space, block 840,000, as the press of that day quotes it.

>>> level("step", np.array([0.0, 3600.0]), seed=1, start=0.0).tolist()
[1.0, 4.0]
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from core.ordinary_traffic.behaviours import USUAL_RATE

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Path = Callable[[Floats, int, float], Floats]
"""From Unix times, seed and start to levels, each greater than 0."""

MEDIAN_BID = 0.924
"""What half of the transactions pay at most, as a share of the market's level."""

DAY = 86_400

DAY_SWING = 0.2
"""How far the day's peak lies above the mean, and the night's trough below it."""

PEAK_SECOND = 15 * 3600
"""Second of the UTC day with the most traffic."""

SPIKE_SHARE = 0.06
"""Share of the quarter hours that are a spike."""

SPIKE_FACTOR = (1.5, 4.0)
"""A spike multiplies the fee level by a factor between these."""

SPIKE_SECONDS = 900
"""Seconds that a spike lasts; spikes begin at multiples of it."""

BLOCK_SECONDS = 600
"""Mean time between two steps of `day`; each comes at a random second of its ten minutes."""

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class Era:
    """What one day of recorded blocks says.

    `medians` are the blocks' median fee rates in sat/vB and `steps` the factors, up or down,
    between those of consecutive blocks, both at `QUANTILES`. `memory` is the correlation of the
    logarithms of consecutive medians.
    """

    medians: tuple[float, ...]
    steps: tuple[float, ...]
    memory: float

    @property
    def reach(self) -> tuple[float, float]:
        """How far the lowest and the highest median lie from the middle one, as logarithms."""
        low, middle, high = self.medians[0], self.medians[3], self.medians[-1]
        return float(np.log(low / middle)), float(np.log(high / middle))


JUNE_2024 = Era(
    (23.1, 24.0, 24.98, 30.06, 34.43, 38.4, 42.36, 44.13),
    (1.0, 1.005, 1.025, 1.09, 1.148, 1.241, 1.341, 1.364),
    0.77,
)
"""Full blocks: the next one's median is much like the last one's (83 pairs)."""

JULY_2025 = Era(
    (0.47, 0.59, 1.0, 2.0, 3.0, 3.81, 5.22, 6.84),
    (1.0, 1.047, 1.17, 1.5, 2.019, 3.845, 7.277, 9.913),
    0.39,
)
"""Little demand: whether a block still finds some makes a factor of 4 (55 pairs)."""

LEAST, MOST = 0.47, 150.0
"""Lowest and highest median of the 162 blocks in sat/vB, that of six transactions included; `day`
stays within them."""

WEEKDAYS = (JULY_2025.medians[3], 2 * JUNE_2024.medians[3])
"""Between these, in sat/vB, lies the level of a weekday's noon."""

WEEKENDS = (LEAST, 0.95)
"""Between these, in sat/vB, lies the level of the noon of a Saturday and of a Sunday."""

FULL_BLOCKS = 8.0
"""From this level in sat/vB on, between the two recorded days, the steps are those of 2024."""

STEP_AFTER = 900.0
"""Seconds from the start until `step`, `ramp` and `halving` begin to move."""

STEP_FACTOR = 4.0
RAMP_SECONDS = 1_200.0

CALM_RATE, HALVING_RATE = 10.0, 1_500.0
"""Fee rates in sat/vB before and at the peak of `halving`."""

RUSH_SECONDS, RELIEF_SECONDS = 3_600.0, 10_800.0
"""Seconds from calm to the peak of `halving`, and from there back."""

_REMEMBERED = 32
"""Steps that still move the level of a block: 0.77 to this power is nothing."""

_DAYS, _BLOCKS, _MOMENTS = 1, 2, 3  # streams of random numbers of one seed
_SATURDAY = 2  # Unix time 0 is a Thursday


def level(path: str, times: Floats, seed: int, start: float) -> Floats:
    """The market's fee level at Unix times as a multiple of its usual one.

    `start` is the Unix time from which `step`, `ramp` and `halving` count; the other paths ignore
    it. Raises `KeyError` where there is no such path.
    """
    return PATHS[path](np.asarray(times, float), seed, start)


def from_rate(rate: float) -> float:
    """The level at which half of the transactions pay less than this fee rate in sat/vB.

    >>> round(from_rate(13.86), 3)
    1.0
    """
    return rate / (USUAL_RATE * MEDIAN_BID)


def day_cycle(times: Floats) -> Floats:
    """The traffic at Unix times as a multiple of the day's mean, 0.8 to 1.2."""
    return 1 + DAY_SWING * np.cos(2 * np.pi * (times - PEAK_SECOND) / DAY)


def steady(times: Floats, seed: int, _start: float) -> Floats:
    """The usual level with the day's cycle, and spikes as after a slow block."""
    return day_cycle(times) * _by_slot(times // SPIKE_SECONDS, lambda slot: _spike(slot, seed))


def day(times: Floats, seed: int, _start: float) -> Floats:
    """The level of the day, with its cycle, and on it a mean-reverting walk from block to block."""
    wandering = np.exp(_noons(times, seed) + _walk(_blocks(times, seed), seed))
    rates = np.clip(wandering * day_cycle(times), LEAST, MOST)
    levels: Floats = rates * from_rate(1.0)
    return levels


def step(times: Floats, _seed: int, start: float) -> Floats:
    """The usual level, and at once four times it."""
    return np.where(times - start < STEP_AFTER, 1.0, STEP_FACTOR)


def ramp(times: Floats, _seed: int, start: float) -> Floats:
    """The usual level, and four times it, with a constant growth in between."""
    begun = start + STEP_AFTER
    return _between(times, {begun: 1.0, begun + RAMP_SECONDS: STEP_FACTOR})


def halving(times: Floats, _seed: int, start: float) -> Floats:
    """A calm market, a rush for the first block after a halving, and the way back."""
    begun, calm = start + STEP_AFTER, from_rate(CALM_RATE)
    peak = begun + RUSH_SECONDS
    levels = {begun: calm, peak: from_rate(HALVING_RATE), peak + RELIEF_SECONDS: calm}
    return _between(times, levels)


def off(times: Floats, _seed: int, _start: float) -> Floats:
    """The usual level at all times."""
    return np.ones_like(times)


PATHS: Mapping[str, Path] = MappingProxyType(
    {path.__name__: path for path in (steady, day, step, ramp, halving, off)}
)
"""Every path by its name."""


def _between(times: Floats, levels: Mapping[float, float]) -> Floats:
    """Levels at some times, joined by constant growth; constant before and after them."""
    joined: Floats = np.exp(np.interp(times, list(levels), np.log(list(levels.values()))))
    return joined


def _spike(slot: int, seed: int) -> float:
    rng = np.random.default_rng((seed, slot))
    return float(rng.uniform(*SPIKE_FACTOR)) if rng.random() < SPIKE_SHARE else 1.0


def _noon(number: int, seed: int) -> float:
    """Logarithm of the fee rate in sat/vB at noon of this day since 1970."""
    chance = np.random.default_rng((seed, number, _DAYS)).random()
    low, high = np.log(WEEKENDS if (number - _SATURDAY) % 7 < 2 else WEEKDAYS)
    return float(low + chance * (high - low))


def _noons(times: Floats, seed: int) -> Floats:
    """The level of the day at these times, as a logarithm: a line from each noon to the next."""
    since = times / DAY - 0.5
    last = np.floor(since)
    before = _by_slot(last, lambda number: _noon(number, seed))
    after = _by_slot(last + 1, lambda number: _noon(number, seed))
    return before + (since - last) * (after - before)


def _blocks(times: Floats, seed: int) -> Integers:
    """The number of the newest block at these times."""
    slots = times // BLOCK_SECONDS
    found = _by_slot(slots, lambda slot: np.random.default_rng((seed, slot, _MOMENTS)).random())
    return (slots - (times - slots * BLOCK_SECONDS < found * BLOCK_SECONDS)).astype(np.int64)


def _walk(blocks: Integers, seed: int) -> Floats:
    """How far each block lies from the level of its day, as a logarithm.

    It is an autoregressive process of first order. Steps of a stationary one with correlation m
    have the variance of its innovations times 2 / (1 + m). No block lies further from its day than
    those of the era did.
    """
    unique, inverse = np.unique(blocks, return_inverse=True)
    needed = np.unique(unique[:, None] - np.arange(_REMEMBERED))
    low = _noons(needed * float(BLOCK_SECONDS), seed) < np.log(FULL_BLOCKS)
    eras = [JULY_2025 if at else JUNE_2024 for at in low]
    drawn = np.array([_innovation(int(n), era, seed) for n, era in zip(needed, eras, strict=True)])
    memory, least, most = np.array([(era.memory, *era.reach) for era in eras]).T
    behind = np.arange(_REMEMBERED)
    places = np.searchsorted(needed, unique[:, None] - behind)
    own = places[:, 0]
    walked = (drawn[places] * memory[own, None] ** behind).sum(axis=1)
    kept: Floats = np.clip(walked, least[own], most[own])[inverse]
    return kept


def _innovation(block: int, era: Era, seed: int) -> float:
    rng = np.random.default_rng((seed, block, _BLOCKS))
    size = np.interp(rng.random(), QUANTILES, np.log(era.steps))
    return float(size * rng.choice((-1.0, 1.0)) * np.sqrt((1 + era.memory) / 2))


def _by_slot(slots: Floats, draw: Callable[[int], float]) -> Floats:
    """A number for each slot, drawn once for all of its times."""
    unique, inverse = np.unique(slots.astype(np.int64), return_inverse=True)
    return np.array([draw(int(slot)) for slot in unique], float)[inverse]
