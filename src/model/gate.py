"""Whether a challenger may become champion: every reason against it, in words.

Nothing here looks at the held-out kinds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from core.feature_table import NAMES
from core.features import measures
from model.evaluation import Evaluation

CONFIDENCE = 0.99
"""Of the interval for the flag rate; a small sample gives a wide one and blocks nobody."""

_ONE_VALUE = 0.999
"""Share of one value from which on a measure tells nothing."""


@dataclass(frozen=True)
class Rules:
    """What is asked of a challenger.

    The flag rate may be half to twice the `budget`; the mean recall may be at most `margin` below
    the champion's on the same rows, and must be at least `least_recall`: what flags nothing at all
    has learned nothing.
    """

    budget: float
    margin: float = 0.05
    least_recall: float = 0.2


def interval(flagged: int, rows: int) -> tuple[float, float]:
    """The exact binomial interval (Clopper, Pearson 1934) for a share, at `CONFIDENCE`."""
    tail = (1 - CONFIDENCE) / 2
    low = beta.ppf(tail, flagged, rows - flagged + 1) if flagged else 0.0
    high = beta.ppf(1 - tail, flagged + 1, rows - flagged) if flagged < rows else 1.0
    return float(low), float(high)


def keeps_budget(flagged: int, rows: int, budget: float) -> bool:
    """Whether what was flagged is compatible with a true rate of half to twice the budget."""
    low, high = interval(flagged, rows)
    return high >= budget / 2 and low <= budget * 2


def refusals(challenger: Evaluation, champion: Evaluation | None, rules: Rules) -> list[str]:
    """The reasons against a challenger; none means that it may become champion."""
    reasons = []
    if not keeps_budget(challenger.flagged, challenger.rows, rules.budget):
        reasons.append(
            f"flags {challenger.flagged} of {challenger.rows} of the newest transactions, which "
            f"does not fit a budget of {rules.budget:g}"
        )
    recall = challenger.mean_recall(held_out=False)
    if recall < rules.least_recall:
        reasons.append(f"recall {recall:.3f} is below the least, {rules.least_recall:g}")
    if champion is not None:
        before = champion.mean_recall(held_out=False)
        if recall < before - rules.margin:
            reasons.append(
                f"recall {recall:.3f} is more than {rules.margin:g} below the champion's "
                f"{before:.3f}"
            )
    return reasons


def degenerate(rows: NDArray[np.int64]) -> list[str]:
    """The reason against training rows in which a measure has one value only, or almost.

    A model of such rows knows nothing else as usual, and would flag all traffic once the source is
    well again.
    """
    return [
        f"{name} has the same value in nearly every row: the data are not whole"
        for name, column in zip(NAMES, measures(rows).T, strict=True)
        if np.unique(column, return_counts=True)[1].max(initial=0) >= _ONE_VALUE * len(rows)
    ]
