"""The threshold, from how a model scores one measure that lies far out.

The threshold of a budget is the score that so small a share of ordinary traffic reaches. Of 2,000
rows one in a thousand is two, and two anomalies among them would decide. So the tail is not read
off the highest scores. It is extrapolated measure by measure (`core/detector/rarity_scale.py`: the
peaks over a high bound), and the model itself says what such a distance scores: a *rarity curve*
has the score of a row that is ordinary but for one measure, by the rarity of that measure.

A measure lies beyond the rarity r with a probability of 10 ** -r on each side, by the scale's own
definition, so one of n measures does with at most 2 n 10 ** -r (the union bound). This tail counts
as much as `PRIOR_ROWS` rows; with more rows than that, their own scores decide.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.feature_table import NAMES
from core.features import Floats, isolate

PRIOR_ROWS = 10_000
"""As how many rows the extrapolated tail counts."""

SIDES = 2 * len(NAMES)
"""The tails of all measures: each has one below its median and one above."""

ORDINARY_SHARE = 0.2
"""How much of a budget the threshold leaves to the rows that it is set by: the wild ones, which a
training leaves out, are flagged as well, and are several times as many in recorded traffic."""

EXPECTED_WILD = 0.1
"""How many rows of ordinary traffic a sample has, on average, beyond the bound of the wild ones."""

_RARITIES = np.arange(2.0, 9.01, 0.25)
_FINE = np.arange(2.0, 9.0, 0.005)
_ROWS_PER_SIDE = 40


@dataclass(frozen=True)
class RarityCurve:
    """Scores, ascending, of a row with one measure at each of the rarities 2, 2.25, ... 9."""

    scores: Floats

    def score(self, rarity: float) -> float:
        """The score at a rarity in 2..9."""
        return float(np.interp(rarity, _RARITIES, self.scores))

    def rarities(self, scores: Floats) -> Floats:
        """The rarities in 2..9 at which one measure alone gives these scores."""
        rarities: Floats = np.interp(scores, self.scores, _RARITIES)
        return rarities


def share_beyond(rarity: Floats) -> Floats:
    """The most that one of the measures lies beyond a rarity, as a share of ordinary traffic."""
    share: Floats = SIDES * 10.0**-rarity
    return share


def rarity_of_share(share: float) -> float:
    """The rarity that this share of ordinary traffic lies beyond, in one measure or another."""
    return float(np.log10(SIDES / share))


def rarity_curve(score: Callable[[Floats], Floats], features: Floats) -> RarityCurve:
    """Measure the curve of a forest; `score` takes what the forest sees, shape (n, COLUMNS).

    `features` are those of ordinary rows, from which each one differs in one measure.
    """
    rng = np.random.default_rng(0)
    rows = features[rng.integers(0, len(features), SIDES * _ROWS_PER_SIDE)]
    side = np.repeat(np.arange(SIDES), _ROWS_PER_SIDE)
    sign = np.where(side % 2, 1.0, -1.0)
    medians = [np.median(score(isolate(rows, side // 2, sign * r))) for r in _RARITIES]
    # Strictly ascending, so that each score has one rarity.
    rising = np.maximum.accumulate(medians) + 1e-9 * np.arange(len(medians))
    return RarityCurve(rising)


def budget_threshold(curve: RarityCurve, scores: Floats, budget: float) -> float:
    """The score that a share `budget` of ordinary traffic reaches, its wild rows among them.

    `scores` are those of ordinary rows, without the wild ones that were left out: they have
    `ORDINARY_SHARE` of the budget, the extrapolated tail all of it. Where even the farthest score
    is too common, as in a source that repeats itself, the threshold lies above all.
    """
    rows, rarities = len(scores), np.sort(curve.rarities(scores))
    seen = rows - np.searchsorted(rarities, _FINE, side="left")
    share = (seen / ORDINARY_SHARE + PRIOR_ROWS * share_beyond(_FINE)) / (rows + PRIOR_ROWS)
    allowed = share <= budget
    if not allowed.any():
        return float(np.nextafter(scores.max(), np.inf))
    return curve.score(_FINE[allowed.argmax()])


def wild_from(curve: RarityCurve, rows: int) -> float:
    """The score from which a row is wild among so many: so far out that hardly one would be."""
    return curve.score(min(rarity_of_share(EXPECTED_WILD / rows), _RARITIES[-1]))
